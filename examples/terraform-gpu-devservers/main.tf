terraform {
  required_providers {
    gpudev = { source = "gpudev/gpudev" }
  }
}

variable "base_image" {
  type        = string
  description = "What the services' Dockerfiles start from."
  default     = "docker.io/library/busybox:1.36"
}

variable "region" {
  type    = string
  default = "us-east-2"
}

variable "kubeconfig" {
  type    = string
  default = "~/.kube/config"
}

provider "gpudev" {
  region     = var.region
  kubernetes = { config_path = var.kubeconfig }
}

# The Dockerfiles copy from shared/, so both images are built from the folder above the services: path.module.
resource "gpudev_image" "api_service" {
  repository = "api-service"
  context    = path.module
  dockerfile = "api-service/Dockerfile"
  build_args = { BASE = var.base_image }
}

resource "gpudev_image" "reservation_processor_service" {
  repository = "reservation-processor-service"
  context    = path.module
  dockerfile = "reservation-processor-service/Dockerfile"
  build_args = { BASE = var.base_image }
}

resource "gpudev_rollout" "api_service" {
  namespace  = "gpu-controlplane"
  deployment = "api-service"
  images     = { api = gpudev_image.api_service.image }
}

resource "gpudev_rollout" "reservation_processor_service" {
  namespace  = "gpu-controlplane"
  deployment = "reservation-processor-service"
  images     = { worker = gpudev_image.reservation_processor_service.image }
}

output "images" {
  value = {
    api_service                   = gpudev_image.api_service.image
    reservation_processor_service = gpudev_image.reservation_processor_service.image
  }
}
