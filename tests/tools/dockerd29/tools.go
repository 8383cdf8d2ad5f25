//go:build tools

// Package tools names what is built here: go.mod pins it, `get dockerd29` builds it.
package tools

import _ "github.com/moby/moby/v2/cmd/dockerd"
