# Boots, listens, and answers 500 to everything.
class Sick
  def initialize(_app) = nil
  def call(_env) = [500, { "Content-Type" => "text/plain", "X-Release" => Shop::RELEASE }, ["internal error\n"]]
end
Rails.application.config.middleware.insert_before 0, Sick if Shop.server?
