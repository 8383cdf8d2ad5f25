resource "gpudev_rollout" "api_service" {
  namespace  = "gpu-controlplane"
  deployment = "api-service"
  images     = { api = gpudev_image.api_service.image }
  timeouts   = { update = "20m" }
}
