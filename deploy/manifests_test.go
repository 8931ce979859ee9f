package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// documents reads a YAML file into values of type T.
func documents[T any](t *testing.T, path string) []T {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var docs []T
	for in := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc T
		if err := in.Decode(&doc); errors.Is(err, io.EOF) {
			return docs
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		docs = append(docs, doc)
	}
}

func TestComposeFile(t *testing.T) {
	type service struct {
		Stop     string   `yaml:"stop_grace_period"`
		Command  []string `yaml:"command"`
		Secrets  []string `yaml:"secrets"`
		Volumes  []string `yaml:"volumes"`
		ReadOnly bool     `yaml:"read_only"`
	}
	type file struct {
		Services map[string]service   `yaml:"services"`
		Secrets  map[string]yaml.Node `yaml:"secrets"`
		Volumes  map[string]yaml.Node `yaml:"volumes"`
	}
	docs := documents[file](t, "docker-compose.yaml")
	if len(docs) != 1 {
		t.Fatalf("got %d documents, want 1", len(docs))
	}
	s := docs[0].Services["gitdag"]
	if stop, err := time.ParseDuration(s.Stop); err != nil || stop <= drain+killGrace {
		t.Errorf("stop_grace_period: got %q, want more than %s", s.Stop, drain+killGrace)
	}
	if !slices.Contains(s.Secrets, "gitdag-api-token") || len(docs[0].Secrets) != 1 {
		t.Errorf("secrets: got %v, want gitdag-api-token, where the image looks for it", s.Secrets)
	}
	if !slices.Contains(s.Volumes, "data:/var/lib/gitdag") || !s.ReadOnly {
		t.Errorf("got volumes %v, read-only %v; want the data on a volume and nothing else writable", s.Volumes, s.ReadOnly)
	}
}

// object is what the test looks at in a Kubernetes manifest.
type object struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec struct {
		Replicas int            `yaml:"replicas"`
		Selector map[string]any `yaml:"selector"`
		Template struct {
			Metadata struct {
				Labels map[string]string `yaml:"labels"`
			} `yaml:"metadata"`
			Spec pod `yaml:"spec"`
		} `yaml:"template"`
		Claims []object `yaml:"volumeClaimTemplates"`
	} `yaml:"spec"`
}

type pod struct {
	Grace    int `yaml:"terminationGracePeriodSeconds"`
	Security struct {
		NonRoot bool `yaml:"runAsNonRoot"`
		User    int  `yaml:"runAsUser"`
	} `yaml:"securityContext"`
	Containers []struct {
		Liveness  probe `yaml:"livenessProbe"`
		Readiness probe `yaml:"readinessProbe"`
		Mounts    []struct {
			Name string `yaml:"name"`
			Path string `yaml:"mountPath"`
		} `yaml:"volumeMounts"`
	} `yaml:"containers"`
	Volumes []struct {
		Name string `yaml:"name"`
	} `yaml:"volumes"`
}

type probe struct {
	Get struct {
		Path string `yaml:"path"`
	} `yaml:"httpGet"`
}

func TestKubernetesManifest(t *testing.T) {
	objects := map[string]object{}
	for _, o := range documents[object](t, "kubernetes.yaml") {
		objects[o.Kind] = o
	}
	set := objects["StatefulSet"]
	if set.Spec.Replicas != 1 {
		t.Errorf("replicas: got %d, want the journal's one writer", set.Spec.Replicas)
	}
	p := set.Spec.Template.Spec
	if grace := time.Duration(p.Grace) * time.Second; grace <= drain+killGrace {
		t.Errorf("terminationGracePeriodSeconds: got %s, want more than %s", grace, drain+killGrace)
	}
	if !p.Security.NonRoot || p.Security.User != imageUser {
		t.Errorf("security: got %+v, want user %d", p.Security, imageUser)
	}
	for label, value := range objects["Service"].Spec.Selector {
		if got := set.Spec.Template.Metadata.Labels[label]; got != value {
			t.Errorf("label %s: got %q, want the service's %q", label, got, value)
		}
	}
	if len(p.Containers) != 1 {
		t.Fatalf("got %d containers, want 1", len(p.Containers))
	}
	c := p.Containers[0]
	if c.Liveness.Get.Path != "/livez" || c.Readiness.Get.Path != "/readyz" {
		t.Errorf("probes: got %q and %q, want /livez and /readyz", c.Liveness.Get.Path, c.Readiness.Get.Path)
	}
	var volumes []string
	for _, v := range p.Volumes {
		volumes = append(volumes, v.Name)
	}
	for _, v := range set.Spec.Claims {
		volumes = append(volumes, v.Metadata.Name)
	}
	for _, m := range c.Mounts {
		if !slices.Contains(volumes, m.Name) {
			t.Errorf("mount %s: got no such volume, want one of %v", m.Path, volumes)
		}
	}
}
