//go:build tools

// Package tools names what is built here: go.mod pins it, `get registry` builds it.
package tools

import _ "github.com/distribution/distribution/v3/cmd/registry"
