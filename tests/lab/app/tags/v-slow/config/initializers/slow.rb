# Takes its time to boot, then is fine.
sleep 20 if Shop.server?
