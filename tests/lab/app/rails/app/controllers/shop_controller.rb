require "socket"

class ShopController < ActionController::Base
  HOST = Socket.gethostname
  before_action { response.set_header("X-Release", Shop::RELEASE) }
  before_action { response.set_header("Cache-Control", "no-store") }

  # A page that writes a row and reads it back.
  def index
    row = self.class.db.select_one(<<~SQL)
      INSERT INTO visits (tag, count) VALUES (#{self.class.db.quote(Shop::RELEASE)}, 1)
      ON CONFLICT (tag) DO UPDATE SET count = visits.count + 1 RETURNING count
    SQL
    render html: "<!doctype html><title>shop</title><h1>shop #{Shop::RELEASE}</h1><p>visit #{row["count"]}</p>\n".html_safe
  end

  def version = render(plain: "#{Shop::RELEASE}\n")
  def version_json = render(json: { tag: Shop::RELEASE, host: HOST })

  def up
    self.class.db.select_value("SELECT 1")
    render plain: "up\n"
  rescue ActiveRecord::ActiveRecordError => e
    # The pool may hold a connection that died with the database.
    ActiveRecord::Base.clear_active_connections!
    ActiveRecord::Base.connection_pool.disconnect!
    render plain: "database: #{e.class}\n", status: 503
  end

  # For requests that are in flight while something else happens.
  def slow
    seconds = params[:s].to_f.clamp(0, 30)
    sleep seconds
    render plain: "slept #{seconds} #{Shop::RELEASE}\n"
  end

  def env
    value = ENV[params[:name]]
    value ? render(plain: value) : head(:not_found)
  end

  def self.db = ActiveRecord::Base.connection
end
