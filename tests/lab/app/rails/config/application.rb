require_relative "boot"
require "rails"
require "active_record/railtie"
require "action_controller/railtie"

module Shop
  RELEASE = File.read(File.expand_path("../RELEASE", __dir__)).strip
  # bin/rails loads this app too; what a sick release does, it does only as a server.
  def self.server? = File.basename($PROGRAM_NAME) == "unicorn" || defined?(::Unicorn) == "constant"

  class Application < Rails::Application
    config.load_defaults 6.1
    config.eager_load = true
    config.cache_classes = true
    config.consider_all_requests_local = false
    config.public_file_server.enabled = false
    config.active_record.dump_schema_after_migration = false
    config.secret_key_base = ENV["SECRET_KEY_BASE"]
    config.log_level = ENV.fetch("RAILS_LOG_LEVEL", "warn").to_sym
    if ENV["RAILS_LOG_TO_STDOUT"]
      $stdout.sync = true
      config.logger = ActiveSupport::Logger.new($stdout)
    end
    config.middleware.delete ActionDispatch::HostAuthorization
  end
end
