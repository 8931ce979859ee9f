package docker

import (
	"errors"
	"fmt"
	"math/big"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/strslice"
	"github.com/docker/go-connections/nat"
	units "github.com/docker/go-units"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// spec is a container as the engine is asked for it.
type spec struct {
	config   container.Config
	host     container.HostConfig
	aliases  []string
	platform string
	name     string
	// pull is the value of `--pull`.
	pull string

	// project is what relative paths start from, source where the engine has it,
	// environ where variables without a value are looked up.
	project, source string
	environ         []string
}

// runFlags are the options of `docker run` that are known.
var runFlags = []flag[spec]{
	// Who, where, with what.
	{names: "user u", set: text(func(s *spec) *string { return &s.config.User })},
	{names: "env e", set: setEnv},
	{names: "env-file", set: setEnvFile},
	{names: "entrypoint", set: setEntrypoint},
	// The task has a working directory, and Digdag's arguments name it last.
	{names: "workdir w", set: func(*spec, string) error { return nil }},
	{names: "hostname h", set: text(func(s *spec) *string { return &s.config.Hostname })},
	{names: "name", set: text(func(s *spec) *string { return &s.name })},
	{names: "label l", set: setLabel},
	{names: "platform", set: text(func(s *spec) *string { return &s.platform })},
	{names: "pull", set: setPull},
	{names: "stop-signal", set: text(func(s *spec) *string { return &s.config.StopSignal })},
	{names: "tty t", bare: true, set: truth(func(s *spec) *bool { return &s.config.Tty })},
	{names: "init", bare: true, set: func(s *spec, v string) (err error) { s.host.Init, err = pointer(strconv.ParseBool(v)); return err }},
	{names: "rm", bare: true, set: setRemove},

	// Files.
	{names: "volume v", set: setVolume},
	{names: "mount", set: setMount},
	{names: "tmpfs", set: setTmpfs},
	{names: "volumes-from", set: list(func(s *spec) *[]string { return &s.host.VolumesFrom })},
	{names: "read-only", bare: true, set: truth(func(s *spec) *bool { return &s.host.ReadonlyRootfs })},
	{names: "shm-size", set: size(func(s *spec) *int64 { return &s.host.ShmSize })},
	{names: "device", set: setDevice},

	// Limits.
	{names: "memory m", set: size(func(s *spec) *int64 { return &s.host.Memory })},
	{names: "memory-swap", set: setSwap},
	{names: "memory-reservation", set: size(func(s *spec) *int64 { return &s.host.MemoryReservation })},
	{names: "oom-kill-disable", bare: true, set: func(s *spec, v string) (err error) {
		s.host.OomKillDisable, err = pointer(strconv.ParseBool(v))
		return err
	}},
	{names: "oom-score-adj", set: func(s *spec, v string) (err error) { s.host.OomScoreAdj, err = strconv.Atoi(v); return err }},
	{names: "cpus", set: setCPUs},
	{names: "cpu-shares c", set: number(func(s *spec) *int64 { return &s.host.CPUShares })},
	{names: "cpu-period", set: number(func(s *spec) *int64 { return &s.host.CPUPeriod })},
	{names: "cpu-quota", set: number(func(s *spec) *int64 { return &s.host.CPUQuota })},
	{names: "cpuset-cpus", set: text(func(s *spec) *string { return &s.host.CpusetCpus })},
	{names: "cpuset-mems", set: text(func(s *spec) *string { return &s.host.CpusetMems })},
	{names: "pids-limit", set: func(s *spec, v string) (err error) {
		s.host.PidsLimit, err = pointer(strconv.ParseInt(v, 10, 64))
		return err
	}},
	{names: "ulimit", set: setUlimit},
	{names: "gpus", set: setGPUs},

	// Network.
	{names: "network net", set: func(s *spec, v string) error { s.host.NetworkMode = container.NetworkMode(v); return nil }},
	{names: "network-alias net-alias", set: list(func(s *spec) *[]string { return &s.aliases })},
	{names: "add-host", set: list(func(s *spec) *[]string { return &s.host.ExtraHosts })},
	{names: "dns", set: list(func(s *spec) *[]string { return &s.host.DNS })},
	{names: "dns-option dns-opt", set: list(func(s *spec) *[]string { return &s.host.DNSOptions })},
	{names: "dns-search", set: list(func(s *spec) *[]string { return &s.host.DNSSearch })},
	{names: "publish p", set: setPublish},
	{names: "link", set: list(func(s *spec) *[]string { return &s.host.Links })},

	// Isolation.
	{names: "privileged", bare: true, set: truth(func(s *spec) *bool { return &s.host.Privileged })},
	{names: "cap-add", set: list(func(s *spec) *[]string { return (*[]string)(&s.host.CapAdd) })},
	{names: "cap-drop", set: list(func(s *spec) *[]string { return (*[]string)(&s.host.CapDrop) })},
	{names: "security-opt", set: setSecurity},
	{names: "group-add", set: list(func(s *spec) *[]string { return &s.host.GroupAdd })},
	{names: "userns", set: func(s *spec, v string) error { s.host.UsernsMode = container.UsernsMode(v); return nil }},
	{names: "ipc", set: func(s *spec, v string) error { s.host.IpcMode = container.IpcMode(v); return nil }},
	{names: "pid", set: func(s *spec, v string) error { s.host.PidMode = container.PidMode(v); return nil }},
	{names: "uts", set: func(s *spec, v string) error { s.host.UTSMode = container.UTSMode(v); return nil }},
	{names: "cgroupns", set: func(s *spec, v string) error { s.host.CgroupnsMode = container.CgroupnsMode(v); return nil }},
	{names: "cgroup-parent", set: text(func(s *spec) *string { return &s.host.CgroupParent })},
	{names: "sysctl", set: pairs(func(s *spec) *map[string]string { return &s.host.Sysctls })},
	{names: "runtime", set: text(func(s *spec) *string { return &s.host.Runtime })},
	{names: "log-driver", set: text(func(s *spec) *string { return &s.host.LogConfig.Type })},
	{names: "log-opt", set: pairs(func(s *spec) *map[string]string { return &s.host.LogConfig.Config })},
	{names: "storage-opt", set: pairs(func(s *spec) *map[string]string { return &s.host.StorageOpt })},
}

type setter[T any] = func(into *T, value string) error

func text[T any](at func(*T) *string) setter[T] {
	return func(into *T, v string) error { *at(into) = v; return nil }
}

func list[T any](at func(*T) *[]string) setter[T] {
	return func(into *T, v string) error { *at(into) = append(*at(into), v); return nil }
}

func truth[T any](at func(*T) *bool) setter[T] {
	return func(into *T, v string) (err error) { *at(into), err = strconv.ParseBool(v); return err }
}

func number[T any](at func(*T) *int64) setter[T] {
	return func(into *T, v string) (err error) { *at(into), err = strconv.ParseInt(v, 10, 64); return err }
}

func size[T any](at func(*T) *int64) setter[T] {
	return func(into *T, v string) (err error) { *at(into), err = units.RAMInBytes(v); return err }
}

// pairs takes "key=value".
func pairs[T any](at func(*T) *map[string]string) setter[T] {
	return func(into *T, v string) error {
		key, value, _ := strings.Cut(v, "=")
		if *at(into) == nil {
			*at(into) = map[string]string{}
		}
		(*at(into))[key] = value
		return nil
	}
}

func pointer[T any](v T, err error) (*T, error) { return &v, err }

func setLabel(s *spec, v string) error {
	if name, _, _ := strings.Cut(v, "="); name == Label || name == filesLabel || name == linesLabel {
		return fmt.Errorf("%s says what the container belongs to, and cannot be set", name)
	}
	return pairs(func(s *spec) *map[string]string { return &s.config.Labels })(s, v)
}

// setEnv takes "NAME=value", or a name whose value is that of the agent's tasks.
func setEnv(s *spec, v string) error {
	name, _, given := strings.Cut(v, "=")
	if name == "" {
		return fmt.Errorf("%q names no variable", v)
	}
	if !given {
		value, ok := look(s.environ, name)
		if !ok {
			return nil
		}
		v = name + "=" + value
	}
	s.config.Env = append(s.config.Env, v)
	return nil
}

func setEnvFile(s *spec, file string) error {
	content, err := os.ReadFile(s.local(file))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimRight(strings.TrimLeft(line, " \t"), "\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := setEnv(s, line); err != nil {
			return err
		}
	}
	return nil
}

// local is a path on this machine.
func (s *spec) local(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(s.project, file)
}

// setEntrypoint sets one word; an empty one drops the image's entry point.
func setEntrypoint(s *spec, v string) error {
	s.config.Entrypoint = strslice.StrSlice{v}
	return nil
}

func setPull(s *spec, v string) error {
	switch v {
	case "always", "missing", "never":
		s.pull = v
		return nil
	}
	return fmt.Errorf("want always, missing or never, not %q", v)
}

func setRemove(_ *spec, v string) error {
	if on, err := strconv.ParseBool(v); err != nil || !on {
		return errors.New("a task's container is always removed at its end")
	}
	return nil
}

// setVolume takes "source:target[:options]"; without a source it is an
// anonymous volume, with one that begins with a dot a path of the project.
func setVolume(s *spec, v string) error {
	source, rest, ok := strings.Cut(v, ":")
	if !ok {
		if s.config.Volumes == nil {
			s.config.Volumes = map[string]struct{}{}
		}
		s.config.Volumes[v] = struct{}{}
		return nil
	}
	if strings.HasPrefix(source, ".") {
		source = s.local(source)
	}
	s.host.Binds = append(s.host.Binds, source+":"+rest)
	return nil
}

// setMount takes "type=bind,source=…,target=…".
func setMount(s *spec, v string) error {
	m := mount.Mount{Type: mount.TypeVolume}
	for field := range strings.SplitSeq(v, ",") {
		key, value, given := strings.Cut(field, "=")
		var err error
		switch key {
		case "type":
			m.Type = mount.Type(value)
		case "source", "src":
			m.Source = value
		case "target", "dst", "destination":
			m.Target = value
		case "readonly", "ro":
			m.ReadOnly = true
			if given {
				m.ReadOnly, err = strconv.ParseBool(value)
			}
		case "bind-propagation":
			m.BindOptions = &mount.BindOptions{Propagation: mount.Propagation(value)}
		case "volume-subpath":
			m.VolumeOptions = &mount.VolumeOptions{Subpath: value}
		case "tmpfs-size":
			m.TmpfsOptions = &mount.TmpfsOptions{}
			m.TmpfsOptions.SizeBytes, err = units.RAMInBytes(value)
		default:
			err = errors.New("is not supported")
		}
		if err != nil {
			return fmt.Errorf("%s %w", key, err)
		}
	}
	if m.Type == mount.TypeBind && strings.HasPrefix(m.Source, ".") {
		m.Source = s.local(m.Source)
	}
	s.host.Mounts = append(s.host.Mounts, m)
	return nil
}

// setTmpfs takes "target[:options]".
func setTmpfs(s *spec, v string) error {
	target, options, _ := strings.Cut(v, ":")
	if s.host.Tmpfs == nil {
		s.host.Tmpfs = map[string]string{}
	}
	s.host.Tmpfs[target] = options
	return nil
}

// setDevice takes "path[:path in the container[:permissions]]".
func setDevice(s *spec, v string) error {
	parts := strings.Split(v, ":")
	d := container.DeviceMapping{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
	switch {
	case len(parts) > 3 || parts[0] == "":
		return fmt.Errorf("want PATH[:PATH[:PERMISSIONS]], not %q", v)
	case len(parts) == 3:
		d.PathInContainer, d.CgroupPermissions = parts[1], parts[2]
	case len(parts) == 2 && path.IsAbs(parts[1]):
		d.PathInContainer = parts[1]
	case len(parts) == 2:
		d.CgroupPermissions = parts[1]
	}
	s.host.Devices = append(s.host.Devices, d)
	return nil
}

// setSwap takes a size, or -1 for no limit.
func setSwap(s *spec, v string) (err error) {
	if v == "-1" {
		s.host.MemorySwap = -1
		return nil
	}
	s.host.MemorySwap, err = units.RAMInBytes(v)
	return err
}

func setCPUs(s *spec, v string) error {
	cpus, ok := new(big.Rat).SetString(v)
	if ok {
		cpus.Mul(cpus, big.NewRat(1e9, 1))
	}
	if !ok || !cpus.IsInt() || !cpus.Num().IsInt64() {
		return fmt.Errorf("want a number of CPUs, not %q", v)
	}
	s.host.NanoCPUs = cpus.Num().Int64()
	return nil
}

func setUlimit(s *spec, v string) error {
	u, err := units.ParseUlimit(v)
	if err != nil {
		return err
	}
	s.host.Ulimits = append(s.host.Ulimits, u)
	return nil
}

// setGPUs takes "all", a number, or "device=ID[,ID…]".
func setGPUs(s *spec, v string) error {
	r := container.DeviceRequest{Capabilities: [][]string{{"gpu"}}}
	if ids, ok := strings.CutPrefix(strings.Trim(v, `"`), "device="); ok {
		r.DeviceIDs = strings.Split(ids, ",")
	} else if v == "all" {
		r.Count = -1
	} else if n, err := strconv.Atoi(v); err == nil && n > 0 {
		r.Count = n
	} else {
		return fmt.Errorf("want all, a number or device=ID, not %q", v)
	}
	s.host.DeviceRequests = append(s.host.DeviceRequests, r)
	return nil
}

func setPublish(s *spec, v string) error {
	ports, err := nat.ParsePortSpec(v)
	if err != nil {
		return err
	}
	if s.host.PortBindings == nil {
		s.host.PortBindings, s.config.ExposedPorts = nat.PortMap{}, nat.PortSet{}
	}
	for _, p := range ports {
		s.config.ExposedPorts[p.Port] = struct{}{}
		s.host.PortBindings[p.Port] = append(s.host.PortBindings[p.Port], p.Binding)
	}
	return nil
}

// setSecurity takes "key=value". A profile of system calls is a file, of which
// the engine wants the content.
func setSecurity(s *spec, v string) error {
	if !strings.Contains(v, "=") {
		v = strings.Replace(v, ":", "=", 1) // as it was once written
	}
	if file, ok := strings.CutPrefix(v, "seccomp="); ok && file != "unconfined" && file != "builtin" {
		profile, err := os.ReadFile(s.local(file))
		if err != nil {
			return err
		}
		v = "seccomp=" + string(profile)
	}
	s.host.SecurityOpt = append(s.host.SecurityOpt, v)
	return nil
}

func cond[T any](is bool, yes, no T) T {
	if is {
		return yes
	}
	return no
}

// networking names the container in the network that it joins.
func (s *spec) networking() *network.NetworkingConfig {
	if len(s.aliases) == 0 {
		return nil
	}
	return &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		s.host.NetworkMode.NetworkName(): {Aliases: s.aliases},
	}}
}

// ociPlatform reads "os[/architecture[/variant]]"; nil for none.
func (s *spec) ociPlatform() *ocispec.Platform {
	if s.platform == "" {
		return nil
	}
	parts := append(strings.SplitN(s.platform, "/", 3), "", "")
	return &ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}
