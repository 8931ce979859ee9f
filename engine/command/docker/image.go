package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	units "github.com/docker/go-units"

	"gitdag/engine/command"
)

// buildName is the repository of the images that are built for tasks.
const buildName = "gitdag-build"

// buildFlags are the options of `docker build` that are known.
var buildFlags = []flag[build.ImageBuildOptions]{
	{names: "build-arg", set: setBuildArg},
	{names: "no-cache", bare: true, set: truth(func(o *build.ImageBuildOptions) *bool { return &o.NoCache })},
	{names: "network", set: text(func(o *build.ImageBuildOptions) *string { return &o.NetworkMode })},
	{names: "add-host", set: list(func(o *build.ImageBuildOptions) *[]string { return &o.ExtraHosts })},
	{names: "label", set: pairs(func(o *build.ImageBuildOptions) *map[string]string { return &o.Labels })},
	{names: "platform", set: text(func(o *build.ImageBuildOptions) *string { return &o.Platform })},
	{names: "pull", bare: true, set: truth(func(o *build.ImageBuildOptions) *bool { return &o.PullParent })},
	{names: "memory m", set: size(func(o *build.ImageBuildOptions) *int64 { return &o.Memory })},
	{names: "memory-swap", set: size(func(o *build.ImageBuildOptions) *int64 { return &o.MemorySwap })},
	{names: "cpu-shares c", set: number(func(o *build.ImageBuildOptions) *int64 { return &o.CPUShares })},
	{names: "cpu-period", set: number(func(o *build.ImageBuildOptions) *int64 { return &o.CPUPeriod })},
	{names: "cpu-quota", set: number(func(o *build.ImageBuildOptions) *int64 { return &o.CPUQuota })},
	{names: "cpuset-cpus", set: text(func(o *build.ImageBuildOptions) *string { return &o.CPUSetCPUs })},
	{names: "shm-size", set: size(func(o *build.ImageBuildOptions) *int64 { return &o.ShmSize })},
	{names: "ulimit", set: func(o *build.ImageBuildOptions, v string) error {
		u, err := units.ParseUlimit(v)
		o.Ulimits = append(o.Ulimits, (*container.Ulimit)(u))
		return err
	}},
	{names: "cgroup-parent", set: text(func(o *build.ImageBuildOptions) *string { return &o.CgroupParent })},
	{names: "security-opt", set: list(func(o *build.ImageBuildOptions) *[]string { return &o.SecurityOpt })},
	{names: "quiet q", bare: true, set: truth(func(o *build.ImageBuildOptions) *bool { return &o.SuppressOutput })},
	// Intermediate containers are always removed.
	{names: "rm", bare: true, set: isTruth},
	{names: "force-rm", bare: true, set: isTruth},
}

func isTruth(_ *build.ImageBuildOptions, v string) error {
	_, err := strconv.ParseBool(v)
	return err
}

func setBuildArg(o *build.ImageBuildOptions, v string) error {
	name, value, given := strings.Cut(v, "=")
	if !given {
		return fmt.Errorf("want NAME=VALUE, not %q", v)
	}
	if o.BuildArgs == nil {
		o.BuildArgs = map[string]*string{}
	}
	o.BuildArgs[name] = &value
	return nil
}

// steps are the lines of a Dockerfile after the base: one for each line of shell
// commands.
func steps(lines []string) string {
	var b strings.Builder
	for _, item := range lines {
		for line := range strings.Lines(item) {
			b.WriteString("RUN " + strings.TrimRight(line, "\r\n") + "\n")
		}
	}
	return b.String()
}

// contentName names an image after what it is made of, so that it is built once
// (O10): parts that are equal make equal names.
func contentName(parts ...any) (string, error) {
	text, err := json.Marshal(parts)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return buildName + ":" + hex.EncodeToString(sum[:16]), nil
}

// prepare returns the name of the image that the container is made of: the
// task's, or one that is built on it.
func (x *Executor) prepare(ctx context.Context, e *engine, c command.Command, s *spec) (string, error) {
	want := c.Container
	pull := s.pull
	if want.PullAlways {
		pull = "always"
	}
	if want.Build == nil {
		if pull != "always" {
			return want.Image, nil
		}
		return want.Image, x.pull(ctx, e, want.Image, s.platform, c.Output)
	}
	o := build.ImageBuildOptions{Version: build.BuilderV1, Remove: true, ForceRemove: true, Dockerfile: "Dockerfile"}
	if err := readFlags("build_options", want.BuildOptions, buildFlags, &o); err != nil {
		return "", err
	}
	if o.PullParent || pull == "always" {
		o.PullParent = false // done here, with the credentials of this machine
		if err := x.pull(ctx, e, want.Image, cond(o.Platform != "", o.Platform, s.platform), c.Output); err != nil {
			return "", err
		}
	}
	base, err := e.api.ImageInspect(ctx, want.Image)
	if cerrdefs.IsNotFound(err) && pull != "never" {
		if err = x.pull(ctx, e, want.Image, cond(o.Platform != "", o.Platform, s.platform), c.Output); err != nil {
			return "", err
		}
		base, err = e.api.ImageInspect(ctx, want.Image)
	}
	if err != nil {
		return "", fmt.Errorf("look for the image %s: %w", want.Image, err)
	}
	run := steps(want.Build)
	name, err := contentName(base.ID, run, want.BuildOptions)
	if err != nil {
		return "", err
	}
	o.Tags = []string{name}
	return name, x.build(ctx, e, "FROM "+want.Image+"\n"+run, &o, c.Output)
}

// build builds an image of the one tag of o, unless it is there.
func (x *Executor) build(ctx context.Context, e *engine, text string, o *build.ImageBuildOptions, out io.Writer) error {
	name := o.Tags[0]
	done, err := x.turns.take(ctx, "build "+name)
	if err != nil {
		return err
	}
	defer done()
	if _, err := e.api.ImageInspect(ctx, name); !cerrdefs.IsNotFound(err) {
		return err
	}
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	err = w.WriteHeader(&tar.Header{Name: "Dockerfile", Mode: 0o644, Size: int64(len(text))})
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if o.Labels == nil {
		o.Labels = map[string]string{}
	}
	o.Labels[buildLabel] = "1"
	answer, err := e.api.ImageBuild(ctx, &files, *o)
	if err == nil {
		defer answer.Body.Close()
		err = show(ctx, answer.Body, out)
	}
	if err != nil {
		return fmt.Errorf("build an image: %w", err)
	}
	return nil
}

// pull fetches an image, with the credentials of this machine.
func (x *Executor) pull(ctx context.Context, e *engine, name, platform string, out io.Writer) error {
	done, err := x.turns.take(ctx, "pull "+name)
	if err != nil {
		return err
	}
	defer done()
	auth, err := credentials(ctx, x.o.Environ, name)
	if err != nil {
		return err
	}
	answer, err := e.api.ImagePull(ctx, name, image.PullOptions{RegistryAuth: auth, Platform: platform})
	if err == nil {
		defer answer.Close()
		err = show(ctx, answer, out)
	}
	if err != nil {
		return fmt.Errorf("pull the image %s: %w", name, err)
	}
	return nil
}

// show writes what a build or a pull says: output and finished steps, not how
// far each layer is. The engine's error comes in the same stream.
func show(ctx context.Context, from io.Reader, out io.Writer) error {
	if out == nil {
		out = io.Discard
	}
	for d := json.NewDecoder(from); ; {
		var m struct {
			Stream, Status, Error string
			ID                    string
		}
		err := d.Decode(&m)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		case m.Error != "":
			return errors.New(m.Error)
		case m.Status != "" && (m.ID == "" || strings.HasPrefix(m.Status, "Pulling from")):
			m.Stream = m.Status + "\n"
		}
		if _, err := io.WriteString(out, m.Stream); err != nil {
			return err
		}
	}
}
