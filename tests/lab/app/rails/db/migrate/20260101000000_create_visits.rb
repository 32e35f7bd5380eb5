class CreateVisits < ActiveRecord::Migration[6.1]
  def change
    create_table :visits, id: false do |t|
      t.string :tag, null: false, primary_key: true
      t.bigint :count, null: false, default: 0
    end
  end
end
