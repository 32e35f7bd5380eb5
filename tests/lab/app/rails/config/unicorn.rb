worker_processes 2
preload_app true
timeout 60
listen "0.0.0.0:8080", backlog: 128
pid "/app/tmp/pids/unicorn.pid"
working_directory "/app"
before_fork { |_server, _worker| ActiveRecord::Base.connection_pool.disconnect! }
after_fork { |_server, _worker| ActiveRecord::Base.establish_connection }
