# Additive, so that the release before it keeps working.
class AddNoteToVisits < ActiveRecord::Migration[6.1]
  def change = add_column(:visits, :note, :string, null: false, default: "")
end
