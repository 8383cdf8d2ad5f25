# The Dockerfile copies shared/ as well as api-service/, so the context is the folder above them.
resource "gpudev_image" "api_service" {
  repository = "api-service"
  context    = path.module
  dockerfile = "api-service/Dockerfile"
  tags       = ["latest", "v1.4.2"]
  build_args = { PYTHON = "3.12" }
  timeouts   = { create = "30m" }
}
