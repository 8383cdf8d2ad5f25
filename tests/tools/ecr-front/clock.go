package main

import (
	"sync/atomic"
	"time"
)

// clock is the time as this AWS sees it; a test may set it off.
type clock struct {
	offset atomic.Int64 // seconds
}

func (c *clock) now() time.Time {
	return time.Now().Add(time.Duration(c.offset.Load()) * time.Second).UTC()
}
