package history
import ("testing";"os";"context";"time";"fmt")
func TestZZ(t *testing.T){
 dir:="/tmp/hx/million"
 h,_,err:=Open(t.Context(),dir,Options{}); if err!=nil{t.Fatal(err)}
 defer h.Close(context.Background())
 fi,_:=os.Stat(dir+"/history.db"); fmt.Println("MB",fi.Size()>>20)
 for _,q:=range []Query{{Limit:100},{Limit:100,Before:500000},{Limit:100,Project:7},{Limit:100,Project:7,Workflow:"workflow-3"}} {
  for _,f:=range []func()([]Summary,error){
   func()([]Summary,error){return h.Attempts(t.Context(),q,true)},
   func()([]Summary,error){return h.Attempts(t.Context(),q,false)},
   func()([]Summary,error){return h.Sessions(t.Context(),q)}} {
   for i:=range 5 { s:=time.Now(); l,err:=f(); if i==0||i==4 {fmt.Print(len(l),err," ",time.Since(s)," ")} }
   fmt.Println(q)
  }
 }
 b,_:=os.ReadFile("/proc/self/status"); fmt.Println(string(b[:]))
}
func BenchmarkZZGen(b *testing.B){ d:=million(b); os.RemoveAll("/tmp/hx/million"); if err:=os.Rename(d,"/tmp/hx/million"); err!=nil {b.Fatal(err)} ; os.MkdirAll(d,0o700)}
