package connection

import (
	"regexp"
	"slices"
	"strings"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// DefaultRegion is the region of a connection that names none.
const DefaultRegion = "us-east-1"

// Regions lists the public regions of the partitions in which Roles Anywhere is offered. A region that is newer than
// this list goes into custom_region. The rolesanywhere library knows the partition of each.
//
// https://docs.aws.amazon.com/general/latest/gr/rande.html
func Regions() []string {
	return []string{
		"af-south-1",
		"ap-east-1", "ap-east-2",
		"ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
		"ap-south-1", "ap-south-2",
		"ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6",
		"ap-southeast-7",
		"ca-central-1", "ca-west-1",
		"cn-north-1", "cn-northwest-1",
		"eu-central-1", "eu-central-2",
		"eu-north-1",
		"eu-south-1", "eu-south-2",
		"eu-west-1", "eu-west-2", "eu-west-3",
		"eusc-de-east-1",
		"il-central-1",
		"me-central-1", "me-south-1", "me-west-1",
		"mx-central-1",
		"sa-east-1", "sa-west-1",
		"us-east-1", "us-east-2",
		"us-gov-east-1", "us-gov-west-1",
		"us-west-1", "us-west-2",
	}
}

// customRegion also keeps a region safe to place in a host name, of which it is a label.
var customRegion = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

const maxCustomRegion = 63

func checkRegion(problems *problem.List, c *Connection) {
	if c.CustomRegion != "" && (len(c.CustomRegion) > maxCustomRegion || !customRegion.MatchString(c.CustomRegion)) {
		problems.Add("custom_region", "%s is not a region's name; use lower-case letters, digits and dashes, at "+
			"most 63",
			problem.Quote(c.CustomRegion))
	}
	if slices.Contains(Regions(), c.Region) {
		return
	}
	if lower := strings.ToLower(c.Region); slices.Contains(Regions(), lower) {
		problems.Add("region", "%s is not one of AWS's regions; they are in lower case: %q", problem.Quote(c.Region),
			lower)
		return
	}
	problems.Add("region", "%s is not one of AWS's regions, such as %q; one that is not in this plugin's list goes "+
		"into custom_region", problem.Quote(c.Region), DefaultRegion)
}
