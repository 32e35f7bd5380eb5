Rails.application.routes.draw do
  root "shop#index"
  get "version", to: "shop#version", format: false
  get "version.json", to: "shop#version_json", format: false
  get "up", to: "shop#up"
  get "slow", to: "shop#slow"
  get "env/:name", to: "shop#env", constraints: { name: /LAB_[A-Z0-9_]+/ }
end
