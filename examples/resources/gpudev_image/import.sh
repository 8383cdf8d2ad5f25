# By NAME:TAG in the provider's region, or by REPOSITORY_URL:TAG.
tofu import gpudev_image.api_service api-service:latest
tofu import gpudev_image.api_service 123456789012.dkr.ecr.us-east-2.amazonaws.com/api-service:latest
