module gpudev.test/ecr-front

go 1.26
