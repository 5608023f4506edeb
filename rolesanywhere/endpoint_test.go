package rolesanywhere

import "testing"

func TestEndpoint_FollowsThePartition(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		region, partition string
		o                 EndpointOptions
		want              string
	}{
		{"us-east-1", "aws", EndpointOptions{}, "https://rolesanywhere.us-east-1.amazonaws.com"},
		{"us-east-1", "aws", EndpointOptions{FIPS: true}, "https://rolesanywhere-fips.us-east-1.amazonaws.com"},
		{"eu-west-1", "aws", EndpointOptions{DualStack: true}, "https://rolesanywhere.eu-west-1.api.aws"},
		{"us-west-2", "aws", EndpointOptions{FIPS: true, DualStack: true},
			"https://rolesanywhere-fips.us-west-2.api.aws"},
		{"us-gov-west-1", "aws-us-gov", EndpointOptions{}, "https://rolesanywhere.us-gov-west-1.amazonaws.com"},
		{"cn-north-1", "aws-cn", EndpointOptions{}, "https://rolesanywhere.cn-north-1.amazonaws.com.cn"},
		{"cn-north-1", "aws-cn", EndpointOptions{DualStack: true},
			"https://rolesanywhere.cn-north-1.api.amazonwebservices.com.cn"},
		{"eusc-de-east-1", "aws-eusc", EndpointOptions{}, "https://rolesanywhere.eusc-de-east-1.amazonaws.eu"},
		{"us-isob-east-1", "aws-iso-b", EndpointOptions{}, "https://rolesanywhere.us-isob-east-1.sc2s.sgov.gov"},
		{"mars-north-1", "aws", EndpointOptions{}, "https://rolesanywhere.mars-north-1.amazonaws.com"},
	} {
		if got := Partition(tt.region); got != tt.partition {
			t.Errorf("Partition(%s) = %s, want %s", tt.region, got, tt.partition)
		}
		if got := Endpoint(tt.region, tt.o); got != tt.want {
			t.Errorf("Endpoint(%s, %+v) = %s, want %s", tt.region, tt.o, got, tt.want)
		}
	}
}
