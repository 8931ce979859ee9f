package expr

import "testing"

func BenchmarkBuild(b *testing.B) {
	p := newBuilder()
	b.ReportAllocs()
	for b.Loop() {
		p.build(plain, false)
	}
}

func BenchmarkBuildMoment(b *testing.B) {
	p := newBuilder()
	b.ReportAllocs()
	for b.Loop() {
		p.build(withMoment, false)
	}
}

func BenchmarkBuildLasting(b *testing.B) {
	p := newBuilder()
	b.ReportAllocs()
	for b.Loop() {
		p.build(withMoment, true)
	}
}
