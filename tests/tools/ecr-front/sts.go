package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// sts: moto answers; the keys that it gives out are known here from then on.
func (f *front) sts(w http.ResponseWriter, r *http.Request, c *call) {
	account := "123456789012"
	if c.op != "AssumeRoleWithWebIdentity" && c.op != "AssumeRoleWithSAML" {
		region := c.region
		key, refused := f.verify(r, c.body, "sts", region)
		c.key = key
		if refused != nil {
			c.refused(w, refused)
			return
		}
		account = key.Account
		if !c.key.allows("sts:" + c.op) {
			c.fail(w, "AccessDeniedException", "%s", denied(key, "sts:"+c.op, "*"))
			return
		}
	}
	if c.op == "GetCallerIdentity" {
		callerIdentity(w, r, c.key)
		return
	}
	region := c.region
	if region == "" {
		region = "us-east-1"
	}
	answer, err := f.moto.send(r, account, "sts", region, c.body)
	if err != nil {
		c.failWith(w, http.StatusInternalServerError, "InternalFailure", err.Error())
		return
	}
	if answer.status == http.StatusOK {
		f.learn(c, answer.body)
	}
	answer.write(w)
}

var credentialFields = regexp.MustCompile(`<(AccessKeyId|SecretAccessKey|SessionToken|Expiration|Arn)>([^<]*)</`)

// learn takes the credentials out of an answer.
func (f *front) learn(c *call, xml []byte) {
	field := map[string]string{}
	for _, m := range credentialFields.FindAllStringSubmatch(string(xml), -1) {
		field[m[1]] = m[2]
	}
	if field["AccessKeyId"] == "" {
		return
	}
	key := accessKey{ID: field["AccessKeyId"], Secret: field["SecretAccessKey"], Token: field["SessionToken"],
		ARN: field["Arn"], Account: c.key.Account}
	if form, err := url.ParseQuery(string(c.body)); err == nil {
		if part := strings.Split(form.Get("RoleArn"), ":"); len(part) > 5 {
			key.Account = part[4]
		}
	}
	if key.ARN == "" {
		key.ARN = c.key.ARN
	}
	if at, err := time.Parse(time.RFC3339, field["Expiration"]); err == nil {
		key.Expires = at
	}
	f.keys.put(key)
}

func callerIdentity(w http.ResponseWriter, r *http.Request, key accessKey) {
	id := key.ID
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		text, _ := json.Marshal(map[string]any{"GetCallerIdentityResponse": map[string]any{
			"GetCallerIdentityResult": map[string]string{"Account": key.Account, "Arn": key.ARN, "UserId": id},
			"ResponseMetadata":        map[string]string{"RequestId": w.Header().Get("X-Amzn-Requestid")}}})
		w.Header().Set("Content-Type", "application/json")
		w.Write(text)
		return
	}
	writeXML(w, http.StatusOK, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>`+
		escapeXML(key.ARN)+"</Arn><UserId>"+id+"</UserId><Account>"+key.Account+
		"</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>"+w.Header().Get("X-Amzn-Requestid")+
		"</RequestId></ResponseMetadata></GetCallerIdentityResponse>")
}
