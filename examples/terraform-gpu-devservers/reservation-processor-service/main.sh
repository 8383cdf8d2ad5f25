. /app/shared/lib.sh
announce "reservation-processor-service" "turns reservations into GPU servers"
stay
