package connection

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// The SDK's own list of partitions judges ours: each region of the partitions that the plugin serves is known, in its
// partition, and no other is.
func TestRegions_AreThoseOfTheSDK(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}",
		"github.com/aws/aws-sdk-go-v2").Output()
	if err != nil {
		t.Fatalf("finding the SDK's module: %v", err)
	}
	content, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)),
		"internal/endpoints/awsrulesfn/partitions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Partitions []struct {
			ID      string
			Regions map[string]any
		}
	}
	if err := json.Unmarshal(content, &list); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, partition := range list.Partitions {
		if !slices.Contains([]string{"aws", "aws-cn", "aws-us-gov", "aws-eusc"}, partition.ID) {
			continue // the isolated partitions are not public
		}
		for region := range partition.Regions {
			if strings.HasSuffix(region, "-global") {
				continue // stands for services without a region
			}
			want = append(want, region)
			if got := rolesanywhere.Partition(region); got != partition.ID {
				t.Errorf("region %s is taken to be of partition %s, want %s", region, got, partition.ID)
			}
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(Regions())); !slices.Equal(got, want) {
		t.Errorf("Regions() = %v, want %v", got, want)
	}
}

func TestRegions_OfOnesOwnHaveALength(t *testing.T) {
	t.Parallel()
	for field, longest := range map[string]int{"custom_region": 63, "s3_region": 64} {
		newDesk(t).write("orders", accessKeyFields(with(field, strings.Repeat("a", longest))))
		text := newDesk(t).refused("orders", accessKeyFields(with(field, strings.Repeat("a", longest+1))))
		assertRefused(t, text, field, "is not a region's name")
	}
}
