// Command program is the stand-ins for docker, systemctl and aws as a separate program.
// host.BuildStandins builds it twice: with the tag offline it starts faster.
package main

import (
	"fmt"
	"os"

	"github.com/org/atta-deploy-action/localaws/standins"
)

func main() {
	if !standins.Invoked() {
		fmt.Fprintln(os.Stderr, "start this program through a link with the name of a command, for example docker")
		os.Exit(125)
	}
	os.Exit(standins.Run())
}
