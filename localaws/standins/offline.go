//go:build offline

package standins

import "github.com/org/atta-deploy-action/localaws/standins/instance"

func runAWS(call *instance.Call) int { return call.HandOver("aws") }
