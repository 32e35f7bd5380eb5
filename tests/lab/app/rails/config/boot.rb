# No Bundler: the gems are Debian's.
ENV["RAILS_ENV"] ||= "production"
