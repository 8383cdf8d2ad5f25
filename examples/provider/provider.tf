terraform {
  required_providers {
    gpudev = { source = "gpudev/gpudev" }
  }
}

provider "gpudev" {
  region     = "us-east-2"
  kubernetes = { config_path = "~/.kube/config", context = "prod" }
}
