package host_test

import _ "embed"

// hook kills a deploy at one of its commands.
//
//go:embed testdata/kill_point.sh
var hook string
