package docker

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func ptr[T any](v T) *T { return &v }

// asked is the part of a spec that the engine is asked for.
type asked struct {
	Config   container.Config
	Host     container.HostConfig
	Network  *network.NetworkingConfig
	Platform *ocispec.Platform
	Name     string
}

func TestRunOptions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"vars": "# some\nA=1\n  B=x=y \nINHERITED\nUNSET\n", "profile.json": "{}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		options string // separated by spaces
		want    asked
	}{
		{"", asked{}},
		{"--user 1000:1000", asked{Config: container.Config{User: "1000:1000"}}},
		{"-u me", asked{Config: container.Config{User: "me"}}},
		{"-ume", asked{Config: container.Config{User: "me"}}},
		{"-u=me", asked{Config: container.Config{User: "me"}}},
		{"--user=me", asked{Config: container.Config{User: "me"}}},
		{"-e A=1 --env=B=x=y -e INHERITED -e UNSET", asked{Config: container.Config{Env: []string{"A=1", "B=x=y", "INHERITED=of us"}}}},
		{"--env-file vars", asked{Config: container.Config{Env: []string{"A=1", "B=x=y ", "INHERITED=of us"}}}},
		{"--entrypoint /init -h box --name one --label a=b -l c --stop-signal INT -t", asked{
			Config: container.Config{
				Entrypoint: []string{"/init"}, Hostname: "box", Labels: map[string]string{"a": "b", "c": ""}, StopSignal: "INT", Tty: true,
			},
			Name: "one",
		}},
		{"--init --rm --workdir /elsewhere", asked{Host: container.HostConfig{Init: ptr(true)}}},
		{"--init=false --read-only=true --privileged", asked{Host: container.HostConfig{Init: ptr(false), ReadonlyRootfs: true, Privileged: true}}},
		{"--platform linux/arm/v7", asked{Platform: &ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}}},
		{"-v /a:/b:ro -v named:/c -v ./in:/d -v /anonymous", asked{
			Config: container.Config{Volumes: map[string]struct{}{"/anonymous": {}}},
			Host:   container.HostConfig{Binds: []string{"/a:/b:ro", "named:/c", dir + "/in:/d"}},
		}},
		{"--mount type=bind,source=/a,target=/b,readonly --mount source=named,dst=/c,volume-subpath=x --mount type=tmpfs,target=/d,tmpfs-size=1m --mount type=bind,src=.,dst=/e,ro=false,bind-propagation=rslave", asked{Host: container.HostConfig{Mounts: []mount.Mount{
			{Type: mount.TypeBind, Source: "/a", Target: "/b", ReadOnly: true},
			{Type: mount.TypeVolume, Source: "named", Target: "/c", VolumeOptions: &mount.VolumeOptions{Subpath: "x"}},
			{Type: mount.TypeTmpfs, Target: "/d", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 1 << 20}},
			{Type: mount.TypeBind, Source: dir, Target: "/e", BindOptions: &mount.BindOptions{Propagation: mount.PropagationRSlave}},
		}}}},
		{"--tmpfs /run:size=1m --tmpfs /tmp --volumes-from other:ro --shm-size 64m", asked{Host: container.HostConfig{
			Tmpfs: map[string]string{"/run": "size=1m", "/tmp": ""}, VolumesFrom: []string{"other:ro"}, ShmSize: 64 << 20,
		}}},
		{"--device /dev/fuse --device /dev/a:/dev/b --device /dev/c:r --device /dev/d:/dev/e:rw", asked{Host: container.HostConfig{Resources: container.Resources{Devices: []container.DeviceMapping{
			{PathOnHost: "/dev/fuse", PathInContainer: "/dev/fuse", CgroupPermissions: "rwm"},
			{PathOnHost: "/dev/a", PathInContainer: "/dev/b", CgroupPermissions: "rwm"},
			{PathOnHost: "/dev/c", PathInContainer: "/dev/c", CgroupPermissions: "r"},
			{PathOnHost: "/dev/d", PathInContainer: "/dev/e", CgroupPermissions: "rw"},
		}}}}},
		{"-m 1g --memory-swap -1 --memory-reservation 512m --oom-kill-disable --oom-score-adj 5 --cpus 1.5 -c 512 --cpu-period 1000 --cpu-quota 500 --cpuset-cpus 0-1 --cpuset-mems 0 --pids-limit 100 --ulimit nofile=10:20", asked{Host: container.HostConfig{
			OomScoreAdj: 5,
			Resources: container.Resources{
				Memory: 1 << 30, MemorySwap: -1, MemoryReservation: 512 << 20, OomKillDisable: ptr(true), NanoCPUs: 1.5e9, CPUShares: 512,
				CPUPeriod: 1000, CPUQuota: 500, CpusetCpus: "0-1", CpusetMems: "0", PidsLimit: ptr(int64(100)),
				Ulimits: []*container.Ulimit{{Name: "nofile", Soft: 10, Hard: 20}},
			},
		}}},
		{"--memory-swap 2g --gpus all --gpus 2 --gpus device=a,b", asked{Host: container.HostConfig{Resources: container.Resources{MemorySwap: 2 << 30, DeviceRequests: []container.DeviceRequest{
			{Count: -1, Capabilities: [][]string{{"gpu"}}},
			{Count: 2, Capabilities: [][]string{{"gpu"}}},
			{DeviceIDs: []string{"a", "b"}, Capabilities: [][]string{{"gpu"}}},
		}}}}},
		{"--network mine --network-alias a --add-host h:1.2.3.4 --dns 1.1.1.1 --dns-option ndots:1 --dns-search x --link db", asked{
			Host: container.HostConfig{
				NetworkMode: "mine", ExtraHosts: []string{"h:1.2.3.4"}, DNS: []string{"1.1.1.1"}, DNSOptions: []string{"ndots:1"}, DNSSearch: []string{"x"}, Links: []string{"db"},
			},
			Network: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"mine": {Aliases: []string{"a"}}}},
		}},
		{"--net=host -p 127.0.0.1:8080:80/tcp", asked{
			Config: container.Config{ExposedPorts: nat.PortSet{"80/tcp": {}}},
			Host:   container.HostConfig{NetworkMode: "host", PortBindings: nat.PortMap{"80/tcp": {{HostIP: "127.0.0.1", HostPort: "8080"}}}},
		}},
		{"--cap-add SYS_PTRACE --cap-drop ALL --security-opt no-new-privileges --security-opt label:disable --security-opt seccomp=profile.json --group-add 5 --userns host --ipc host --pid host --uts host --cgroupns host --cgroup-parent p --sysctl a=1 --runtime runc --log-driver syslog --log-opt tag=x --storage-opt size=1G", asked{Host: container.HostConfig{
			CapAdd: []string{"SYS_PTRACE"}, CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges", "label=disable", "seccomp={}"}, GroupAdd: []string{"5"},
			UsernsMode: "host", IpcMode: "host", PidMode: "host", UTSMode: "host", CgroupnsMode: "host", Resources: container.Resources{CgroupParent: "p"},
			Sysctls: map[string]string{"a": "1"}, Runtime: "runc", StorageOpt: map[string]string{"size": "1G"},
			LogConfig: container.LogConfig{Type: "syslog", Config: map[string]string{"tag": "x"}},
		}}},
	} {
		s := &spec{project: dir, environ: []string{"INHERITED=of us"}}
		if err := readFlags("run_options", strings.Fields(tt.options), runFlags, s); err != nil {
			t.Errorf("%s: %v", tt.options, err)
			continue
		}
		got := asked{s.config, s.host, s.networking(), s.ociPlatform(), s.name}
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.options, diff)
		}
	}
}

// TestEveryRunOptionIsShown: each option of the table is in the test above.
func TestEveryRunOptionIsShown(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("flags_test.go")
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(" \"=\n{}", r) })
	for _, f := range runFlags {
		if !slices.ContainsFunc(strings.Fields(f.names), func(name string) bool {
			return slices.Contains(shown, cond(len(name) == 1, "-", "--")+name)
		}) {
			t.Errorf("no test shows --%s", f.names)
		}
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		options []string
		want    string
	}{
		{[]string{"--restart", "always"}, "run_options: --restart is not supported"},
		{[]string{"-d"}, "run_options: -d is not supported"},
		{[]string{"-it"}, "run_options: -i is not supported"},
		{[]string{"-tx"}, "run_options: -t is not supported"},
		{[]string{"--USER", "x"}, "--USER is not supported"},
		{[]string{"--user"}, "--user needs a value"},
		{[]string{"--user 1000"}, `an option and its value are two items of the list: ["--user", "1000"]`},
		{[]string{"-v /a:/b"}, `two items of the list: ["-v", "/a:/b"]`},
		{[]string{"alpine"}, `"alpine" is no option`},
		{[]string{"--"}, `"--" is no option`},
		{[]string{"-"}, `"-" is no option`},
		{[]string{""}, `"" is no option`},
		{[]string{"--memory", "much"}, "--memory: "},
		{[]string{"--cpus", "many"}, `--cpus: want a number of CPUs, not "many"`},
		{[]string{"--cpus", "0.0000000001"}, "want a number of CPUs"},
		{[]string{"--privileged=perhaps"}, "--privileged: "},
		{[]string{"--rm=false"}, "always removed"},
		{[]string{"--pull", "sometimes"}, "want always, missing or never"},
		{[]string{"--label", "gitdag.run=x"}, "gitdag.run says what the container belongs to"},
		{[]string{"--mount", "type=bind,nosuch=1"}, "nosuch is not supported"},
		{[]string{"--mount", "readonly=x"}, "readonly "},
		{[]string{"--env", "=x"}, "names no variable"},
		{[]string{"--env-file", "/no/such/file"}, "/no/such/file"},
		{[]string{"--security-opt", "seccomp=/no/such/file"}, "/no/such/file"},
		{[]string{"--device", "a:b:c:d"}, "--device: want"},
		{[]string{"--gpus", "some"}, "--gpus: want"},
		{[]string{"--ulimit", "x"}, "--ulimit: "},
		{[]string{"--publish", "x:y:z:w"}, "--publish: "},
	} {
		err := readFlags("run_options", tt.options, runFlags, &spec{project: t.TempDir()})
		if err == nil {
			t.Errorf("%q: got no error", tt.options)
			continue
		}
		contain(t, strings.Join(tt.options, " "), err.Error(), tt.want)
	}
}

func TestBuildOptions(t *testing.T) {
	t.Parallel()
	var got build.ImageBuildOptions
	options := "--build-arg A=1 --build-arg=B=x=y --no-cache --network none --add-host h:1.2.3.4 --label a=b --platform linux/amd64 --pull -m 1g --memory-swap 2g -c 5 --cpu-period 1 --cpu-quota 2 --cpuset-cpus 0 --shm-size 1m --ulimit nofile=1 --cgroup-parent p --security-opt s -q --rm --force-rm"
	if err := readFlags("build_options", strings.Fields(options), buildFlags, &got); err != nil {
		t.Fatal(err)
	}
	want := build.ImageBuildOptions{
		BuildArgs: map[string]*string{"A": ptr("1"), "B": ptr("x=y")}, NoCache: true, NetworkMode: "none", ExtraHosts: []string{"h:1.2.3.4"},
		Labels: map[string]string{"a": "b"}, Platform: "linux/amd64", PullParent: true, Memory: 1 << 30, MemorySwap: 2 << 30,
		CPUShares: 5, CPUPeriod: 1, CPUQuota: 2, CPUSetCPUs: "0", ShmSize: 1 << 20, Ulimits: []*container.Ulimit{{Name: "nofile", Soft: 1, Hard: 1}},
		CgroupParent: "p", SecurityOpt: []string{"s"}, SuppressOutput: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	for option, want := range map[string]string{
		"--secret=id=x": "build_options: --secret is not supported", "--build-arg=A": "want NAME=VALUE", "--force-rm=x": "--force-rm", "--ulimit=x": "--ulimit",
	} {
		err := readFlags("build_options", []string{option}, buildFlags, &got)
		if err == nil {
			t.Errorf("%s: got no error", option)
			continue
		}
		contain(t, option, err.Error(), want)
	}
}

// TestOptionsAreObeyed: a real engine does what they say.
func TestOptionsAreObeyed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := os.Chmod(b.project, 0o777); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "f"), []byte("of another directory"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.write("g", "of the project")
	for _, tt := range []struct{ options, script, want string }{
		{"--user 1000:1001", "id -u; id -g; touch mine; stat -c %u:%g mine", "1000\n1001\n1000:1001"},
		{"--hostname box", "hostname", "box"},
		{"-e A=1", "echo $A", "1"},
		{"-w /", "pwd", b.project},
		{"-v " + other + ":/other:ro", "cat /other/f; touch /other/g 2>/dev/null || echo read-only", "of another directoryread-only"},
		{"-v ./g:/elsewhere", "cat /elsewhere", "of the project"},
		{"--read-only", "touch /x 2>/dev/null || echo read-only; touch x && echo project", "read-only\nproject"},
		{"--tmpfs /scratch:size=1m", "df -k /scratch | tail -1 | awk '{print $2}'", "1024"},
		{"--ulimit nofile=77", "ulimit -n", "77"},
		{"--cap-drop ALL", "grep CapEff /proc/self/status | awk '{print $2}'", "0000000000000000"},
		{"--tty", "test -t 1 && echo terminal", "terminal\r"},
		{"--entrypoint /bin/echo", "the arguments", "sh -c the arguments"},
		{"--pids-limit 50", "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null; true", "50"},
		{"--memory 64m", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true", "67108864"},
		{"--cpus 0.5", "cat /sys/fs/cgroup/cpu.max 2>/dev/null || cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000"},
	} {
		if got := b.output(tt.script, strings.Fields(tt.options)...); strings.TrimSuffix(got, " 100000") != tt.want {
			t.Errorf("%s: got %q, want %q", tt.options, got, tt.want)
		}
	}
}

// TestMemoryLimit: the log says why a container was killed.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	exit, out := b.run(b.sh(`exec dd if=/dev/zero of=/dev/null bs=200M count=1`, "--memory", "16m", "--memory-swap", "16m"))
	if exit.Code != 137 {
		t.Errorf("got status %d, want 137", exit.Code)
	}
	contain(t, "log", out, "perhaps it used more memory than its limit")
}
