package localaws_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/localaws"
)

// A test starts a server, adds the resources it needs and passes Config to a real SDK client.
// Other programs get Server.Env.
func Example() {
	server, err := localaws.Start(localaws.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	server.AddInstance(localaws.Instance{ID: "i-1", Tags: map[string]string{"Environment": "test"}})
	server.AddFault(localaws.Fault{Operation: "ssm:SendCommand", Times: 1, Error: &localaws.Error{Code: "ThrottlingException"}})

	document := "AWS-RunShellScript"
	_, err = ssm.NewFromConfig(server.Config()).SendCommand(context.Background(), &ssm.SendCommandInput{
		DocumentName: &document, InstanceIds: []string{"i-1"}, Parameters: map[string][]string{"commands": {"uptime"}},
	})
	fmt.Println("error:", err)
	for _, call := range server.Calls() {
		fmt.Println(call.Operation, call.Resource, call.Status)
	}
	// Output:
	// error: <nil>
	// ssm:SendCommand i-1 400
	// ssm:SendCommand i-1 200
}
