//go:build tools

// Package tools names what is built here: go.mod pins it, `get tofu` builds it.
package tools

import _ "github.com/opentofu/opentofu/cmd/tofu"
