prepare() { ask prepare_request; }
commit() { ask move_request; }
