package examples

import (
	"os/exec"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"go.yaml.in/yaml/v3"
)

func templateFiles() []string { return []string{"aws/access-key.yaml", "aws/roles-anywhere.yaml"} }

// TestCloudFormation_FollowsItsSchemas gives the templates to cfn-lint, which brings AWS's schemas of resources.
func TestCloudFormation_FollowsItsSchemas(t *testing.T) {
	t.Parallel()
	linter, err := exec.LookPath("cfn-lint")
	if err == nil {
		err = exec.Command(linter, "--version").Run() // a launcher without the program behind it is no linter
	}
	if err != nil {
		t.Logf("!!! cfn-lint is not installed: the CloudFormation templates are checked for syntax alone: %v !!!", err)
		return
	}
	output, err := exec.Command(linter, append([]string{"--"}, templateFiles()...)...).CombinedOutput()
	if err != nil {
		t.Errorf("cfn-lint: %v\n%s", err, output)
	}
}

// cloudFormation is what the test reads of a template.
type cloudFormation struct {
	Resources map[string]struct {
		Type       string `yaml:"Type"`
		Properties struct {
			Trust struct {
				Statement []struct {
					Action []string `yaml:"Action"`
				} `yaml:"Statement"`
			} `yaml:"AssumeRolePolicyDocument"`
		} `yaml:"Properties"`
	} `yaml:"Resources"`
}

// TestCloudFormation_TrustsWithAllThatChainsNeed reads what every trust policy allows: AWS refuses a session of Roles
// Anywhere without any of the three, and so a chained one.
//
// https://docs.aws.amazon.com/rolesanywhere/latest/userguide/trust-model.html
func TestCloudFormation_TrustsWithAllThatChainsNeed(t *testing.T) {
	t.Parallel()
	for _, path := range templateFiles() {
		var template cloudFormation
		// The tags of CloudFormation's functions are unknown to the decoder, which then takes what follows as it is.
		if err := yaml.Unmarshal(readExample(t, path), &template); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		roles := 0
		for name, resource := range template.Resources {
			if resource.Type != "AWS::IAM::Role" {
				continue
			}
			roles++
			if len(resource.Properties.Trust.Statement) == 0 {
				t.Errorf("%s: %s trusts nobody", path, name)
			}
			for _, statement := range resource.Properties.Trust.Statement {
				if strings.Join(statement.Action, " ") != "sts:AssumeRole sts:TagSession sts:SetSourceIdentity" {
					t.Errorf("%s: %s trusts with %v", path, name, statement.Action)
				}
			}
		}
		if roles == 0 {
			t.Errorf("%s has no role", path)
		}
	}
}

// TestTutorial_NamesWhatTheTemplateHas compares the steps at AWS in docs/tutorial.md with the template that they
// deploy.
func TestTutorial_NamesWhatTheTemplateHas(t *testing.T) {
	t.Parallel()
	tutorial := string(readExample(t, "../docs/tutorial.md"))
	var template struct {
		Parameters map[string]struct {
			Default *string `yaml:"Default"`
		} `yaml:"Parameters"`
		Outputs map[string]any `yaml:"Outputs"`
	}
	if err := yaml.Unmarshal(readExample(t, "aws/roles-anywhere.yaml"), &template); err != nil {
		t.Fatal(err)
	}
	_, command, _ := strings.Cut(tutorial, "--parameter-overrides")
	command, _, _ = strings.Cut(command, "```")
	given := map[string]bool{}
	for _, match := range regexp.MustCompile(`(\w+)=`).FindAllStringSubmatch(command, -1) {
		given[match[1]] = true
		if _, found := template.Parameters[match[1]]; !found {
			t.Errorf("the tutorial gives the parameter %s, which the template does not have", match[1])
		}
	}
	for name, parameter := range template.Parameters {
		if parameter.Default == nil && !given[name] {
			t.Errorf("the tutorial does not give the parameter %s, which has no default", name)
		}
	}
	outputs := regexp.MustCompile(`\$\(output (\w+)\)`).FindAllStringSubmatch(tutorial, -1)
	for _, match := range outputs {
		if _, found := template.Outputs[match[1]]; !found {
			t.Errorf("the tutorial reads the output %s, which the template does not have", match[1])
		}
	}
	if len(given) < 3 || len(outputs) < 4 {
		t.Errorf("the tutorial gives %d parameters and reads %d outputs", len(given), len(outputs))
	}
}

// TestTerraform_GrantsWhatTheTemplateDoes compares the actions and condition keys that appear in both.
func TestTerraform_GrantsWhatTheTemplateDoes(t *testing.T) {
	t.Parallel()
	template := policyWords(string(readExample(t, "aws/roles-anywhere.yaml")))
	terraform := policyWords(string(readExample(t, "aws/main.tf")))
	if !slices.Equal(template, terraform) || len(template) < 10 {
		t.Errorf("the template grants with\n%v\nand Terraform with\n%v", template, terraform)
	}
}

// policyWords are the actions and condition keys in a text, sorted, each once.
func policyWords(text string) []string {
	var words []string
	separator := func(r rune) bool { return strings.ContainsRune(" \n\",[]{}()", r) }
	for _, word := range strings.FieldsFunc(text, separator) {
		word = strings.TrimSuffix(word, ":")
		for _, prefix := range []string{"s3:", "sts:", "iam:", "aws:PrincipalTag/", "aws:Source"} {
			if strings.HasPrefix(word, prefix) && len(word) > len(prefix) {
				words = append(words, word)
			}
		}
	}
	sort.Strings(words)
	return slices.Compact(words)
}

// TestTerraform_NamesExist finds references to variables, locals, data sources and resources that no block declares.
func TestTerraform_NamesExist(t *testing.T) {
	t.Parallel()
	for _, path := range exampleFiles(t, ".tf") {
		file, diagnostics := hclparse.NewParser().ParseHCL(readExample(t, path), path)
		if diagnostics.HasErrors() {
			t.Errorf("%s: %v", path, diagnostics)
			continue
		}
		body := file.Body.(*hclsyntax.Body)
		declared := declaredNames(body)
		references := 0
		for _, traversal := range traversals(body) {
			name, known := referencedName(traversal)
			if !known {
				continue
			}
			references++
			if !declared[name] {
				t.Errorf("%s: nothing declares %s", path, name)
			}
		}
		if references == 0 {
			t.Errorf("%s: no reference was found", path)
		}
	}
}

func declaredNames(body *hclsyntax.Body) map[string]bool {
	declared := map[string]bool{"path.module": true}
	for _, block := range body.Blocks {
		switch block.Type {
		case "variable":
			declared["var."+block.Labels[0]] = true
		case "locals":
			for name := range block.Body.Attributes {
				declared["local."+name] = true
			}
		case "data":
			declared["data."+block.Labels[0]+"."+block.Labels[1]] = true
		case "resource":
			declared[block.Labels[0]+"."+block.Labels[1]] = true
		}
	}
	return declared
}

func traversals(body *hclsyntax.Body) []hcl.Traversal {
	var found []hcl.Traversal
	for _, attribute := range body.Attributes {
		found = append(found, attribute.Expr.Variables()...)
	}
	for _, block := range body.Blocks {
		found = append(found, traversals(block.Body)...)
	}
	return found
}

// referencedName is the part of a reference that a block declares: two words, after "data" three. A single word, as
// in the type of a variable, is no reference.
func referencedName(traversal hcl.Traversal) (string, bool) {
	words := []string{traversal.RootName()}
	want := 2
	if words[0] == "data" {
		want = 3
	}
	for _, step := range traversal[1:] {
		if attribute, ok := step.(hcl.TraverseAttr); ok && len(words) < want {
			words = append(words, attribute.Name)
		}
	}
	return strings.Join(words, "."), len(words) == want
}
