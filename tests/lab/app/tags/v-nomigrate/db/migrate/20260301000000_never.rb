class Never < ActiveRecord::Migration[6.1]
  def change = raise("this migration always fails")
end
