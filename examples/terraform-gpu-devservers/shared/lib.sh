# Read by both services.
announce() { echo "$1 (shared $(cat /app/shared/version)): $2"; }
stay() {
  trap 'exit 0' TERM INT
  while :; do
    sleep 3600 &
    wait $!
  done
}
