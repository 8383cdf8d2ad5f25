resource "gpudev_rollout" "api_service" {
  namespace  = "gpu-controlplane"
  deployment = "api-service"
  images     = { api = gpudev_image.api_service.image }

  # The pods start again when the configuration changes, even if the image is the same.
  triggers = { config = sha256(file("${path.module}/config.yaml")) }

  timeouts = {
    schedule = "15m" # the autoscaler may have to add a GPU node
    update   = "40m"
  }
}
