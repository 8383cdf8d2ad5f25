// ecr-front makes a small AWS out of moto's server and a CNCF distribution, for
// tests: TLS under the real host names, signatures that are really checked, an
// ECR data plane with ECR's manners, and faults on demand.
//
// moto keeps repositories, policies, tags, STS and EKS; distribution keeps blobs
// and checks manifests. Images and tags are kept here, once, so that the API and
// the data plane always agree, and because ECR's rules for them are neither's.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// front is the whole state; each part has a lock of its own.
type front struct {
	moto     *moto
	keys     *keyring
	tokens   *tokens
	images   *images
	layers   *layers
	faults   *faults
	requests *requests
	clusters *clusters
	clock    *clock
	storage  string // distribution's root folder
}

func main() {
	address := flag.String("address", "127.0.77.1", "listen on ports 443 and 80 of this address")
	control := flag.String("control", "127.0.0.1:7701", "address of the control endpoint")
	certificate := flag.String("cert", "", "PEM file with the certificate")
	key := flag.String("key", "", "PEM file with its key")
	keys := flag.String("keys", "", "JSON file with the access keys that are known")
	motoURL := flag.String("moto", "http://127.0.0.1:5000", "URL of moto's server")
	registryURL := flag.String("registry", "http://127.0.0.1:5001", "URL of the distribution")
	storage := flag.String("storage", "", "the distribution's root folder")
	flag.Parse()
	log.SetFlags(log.Ltime | log.Lmicroseconds)

	f := &front{
		moto:     &moto{url: *motoURL, exists: map[repoID]repoFacts{}},
		keys:     &keyring{},
		tokens:   &tokens{life: 12 * time.Hour, known: map[string]token{}},
		images:   &images{repos: map[repoID]*repository{}},
		layers:   newLayers(*registryURL),
		faults:   &faults{},
		requests: &requests{},
		clusters: &clusters{known: map[string]cluster{}},
		clock:    &clock{},
		storage:  *storage,
	}
	file, err := os.ReadFile(*keys)
	if err == nil {
		err = json.Unmarshal(file, &f.keys.initial)
	}
	if err != nil {
		log.Fatalf("the access keys: %v", err)
	}
	f.keys.reset()
	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		log.Fatalf("the certificate: %v", err)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// HTTP/1.1 only: a fault that cuts the connection needs the connection.
	secure := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	serve(tls.NewListener(listen(net.JoinHostPort(*address, "443")), secure), f.observed())
	serve(listen(net.JoinHostPort(*address, "80")), f.observed())
	serve(listen(*control), f.control())
	log.Printf("ready on %s, control on %s", *address, *control)
	<-ctx.Done()
}

func listen(address string) net.Listener {
	l, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	return l
}

func serve(l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { log.Fatal(server.Serve(l)) }()
}
