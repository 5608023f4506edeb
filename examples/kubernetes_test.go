package examples

import (
	"path/filepath"
	"strings"
	"testing"

	externalsecrets "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	generators "github.com/external-secrets/external-secrets/apis/generators/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// kubernetesType returns the Go type that the API server decodes a document into, or nil where there is none at hand
// and false where the document is of no known kind.
func kubernetesType(apiVersion, kind string) (into any, known bool) {
	switch apiVersion + " " + kind {
	case "v1 ServiceAccount":
		return &corev1.ServiceAccount{}, true
	case "v1 ConfigMap":
		return &corev1.ConfigMap{}, true
	case "apps/v1 Deployment":
		return &appsv1.Deployment{}, true
	case "generators.external-secrets.io/v1alpha1 VaultDynamicSecret":
		return &generators.VaultDynamicSecret{}, true
	case "external-secrets.io/v1 ExternalSecret":
		return &externalsecrets.ExternalSecret{}, true
	case "secrets.hashicorp.com/v1beta1 VaultConnection",
		"secrets.hashicorp.com/v1beta1 VaultAuth",
		"secrets.hashicorp.com/v1beta1 VaultDynamicSecret",
		"secrets-store.csi.x-k8s.io/v1 SecretProviderClass":
		return nil, true
	}
	return nil, false
}

func TestKubernetes_DocumentsAreOfTheirTypes(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, path := range exampleFiles(t, ".yaml") {
		if filepath.Dir(path) != "kubernetes" {
			continue
		}
		for _, document := range documents(readExample(t, path)) {
			var header struct{ APIVersion, Kind string }
			if err := yaml.Unmarshal(document, &header); err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			into, known := kubernetesType(header.APIVersion, header.Kind)
			if !known {
				t.Errorf("%s: %s %s is not a kind that is known here", path, header.APIVersion, header.Kind)
				continue
			}
			if into == nil {
				t.Logf("%s: %s is checked for syntax alone", path, header.Kind)
				continue
			}
			checked++
			if err := yaml.UnmarshalStrict(document, into); err != nil {
				t.Errorf("%s: %s: %v", path, header.Kind, err)
				continue
			}
			checkKubernetesContents(t, path, into)
		}
	}
	if checked < 7 {
		t.Errorf("only %d documents were decoded into their types", checked)
	}
}

// checkKubernetesContents looks at what the types do not say.
func checkKubernetesContents(t *testing.T, path string, document any) {
	t.Helper()
	switch d := document.(type) {
	case *corev1.ConfigMap:
		for name, content := range d.Data {
			if strings.HasSuffix(name, ".hcl") {
				checkHCL(t, path+": "+name, []byte(content))
			}
		}
	case *appsv1.Deployment:
		for key, value := range d.Spec.Selector.MatchLabels {
			if d.Spec.Template.Labels[key] != value {
				t.Errorf("%s: the Deployment does not select its own pods", path)
			}
		}
		checkVolumes(t, path, d.Spec.Template.Spec)
	case *generators.VaultDynamicSecret:
		if d.Spec.Path != "s3conn/creds/orders" || d.Spec.Provider == nil || d.Spec.Provider.Auth == nil {
			t.Errorf("%s: the generator reads %q", path, d.Spec.Path)
		}
	case *externalsecrets.ExternalSecret:
		for _, from := range d.Spec.DataFrom {
			ref := from.SourceRef
			if ref == nil || ref.GeneratorRef == nil || ref.GeneratorRef.Kind != "VaultDynamicSecret" {
				t.Errorf("%s: the ExternalSecret names no generator", path)
			}
		}
	}
}

// checkVolumes sees that what is mounted is a volume of the pod.
func checkVolumes(t *testing.T, path string, pod corev1.PodSpec) {
	t.Helper()
	volumes := map[string]bool{}
	for _, volume := range pod.Volumes {
		volumes[volume.Name] = true
	}
	for _, container := range append(pod.InitContainers, pod.Containers...) {
		for _, mount := range container.VolumeMounts {
			if !volumes[mount.Name] {
				t.Errorf("%s: container %s mounts %q, which is no volume", path, container.Name, mount.Name)
			}
		}
	}
}
