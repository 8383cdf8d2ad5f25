package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// repoID names a repository in this AWS.
type repoID struct{ account, region, name string }

func (r repoID) arn() string {
	return fmt.Sprintf("arn:aws:ecr:%s:%s:repository/%s", r.region, r.account, r.name)
}

// repoFacts is what moto knows of a repository and the data plane must heed.
type repoFacts struct {
	Mutability string `json:"imageTagMutability"`
	Filters    []struct {
		Filter string `json:"filter"`
	} `json:"imageTagMutabilityExclusionFilters"`
	Scanning struct {
		OnPush bool `json:"scanOnPush"`
	} `json:"imageScanningConfiguration"`
}

// moto is the control plane, behind us.
type moto struct {
	url    string
	client http.Client

	mu     sync.Mutex
	exists map[repoID]repoFacts // forgotten with each change
}

// reply is a whole answer of moto's.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// send passes a request on as account's, in the service's and region's scope.
func (m *moto) send(r *http.Request, account, service, region string, body []byte) (reply, error) {
	target := m.url + r.URL.Path
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, target, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for name, values := range r.Header {
		out.Header[name] = values
	}
	out.Host = r.Host
	// moto takes the region and the service from here; we have checked the real one.
	out.Header.Set("Authorization", fmt.Sprintf("%s Credential=FRONT/%s/%s/%s/aws4_request, SignedHeaders=host, Signature=0",
		algorithm, time.Now().UTC().Format("20060102"), region, service))
	out.Header.Set("X-Moto-Account-Id", account)
	return m.do(out)
}

func (m *moto) do(out *http.Request) (reply, error) {
	response, err := m.client.Do(out)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, text}, err
}

// write hands moto's answer to the client.
func (a reply) write(w http.ResponseWriter) {
	for _, name := range []string{"Content-Type", "X-Amzn-Errortype"} {
		if value := a.header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(a.status)
	w.Write(a.body)
}

// facts are moto's facts about a repository; false when it doesn't exist.
func (m *moto) facts(id repoID) (repoFacts, bool, error) {
	m.mu.Lock()
	known, ok := m.exists[id]
	m.mu.Unlock()
	if ok {
		return known, true, nil
	}
	body, _ := json.Marshal(map[string]any{"repositoryNames": []string{id.name}})
	in, _ := http.NewRequest(http.MethodPost, "/", nil)
	in.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories")
	in.Header.Set("Content-Type", "application/x-amz-json-1.1")
	in.Host = "api.ecr." + id.region + ".amazonaws.com"
	answer, err := m.send(in, id.account, "ecr", id.region, body)
	if err != nil || answer.status != http.StatusOK {
		return repoFacts{}, false, err
	}
	var found struct {
		Repositories []repoFacts `json:"repositories"`
	}
	if err := json.Unmarshal(answer.body, &found); err != nil || len(found.Repositories) != 1 {
		return repoFacts{}, false, err
	}
	m.mu.Lock()
	m.exists[id] = found.Repositories[0]
	m.mu.Unlock()
	return found.Repositories[0], true, nil
}

// forget is called after whatever may have changed a repository.
func (m *moto) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.exists)
}

// reset empties moto.
func (m *moto) reset() error {
	m.forget()
	out, err := http.NewRequest(http.MethodPost, m.url+"/moto-api/reset", nil)
	if err != nil {
		return err
	}
	answer, err := m.do(out)
	if err == nil && answer.status != http.StatusOK {
		err = fmt.Errorf("moto answers %d", answer.status)
	}
	return err
}
