. /app/shared/lib.sh
announce "api-service" "answers requests for GPU servers"
stay
