//go:build tools

// Package tools names what is built here: go.mod pins it, `get buildkit` builds it.
package tools

import (
	_ "github.com/moby/buildkit/cmd/buildctl"
	_ "github.com/moby/buildkit/cmd/buildkitd"
)
