# Certificates, tokens and kubeconfigs of the test cluster, below $K.
# shellcheck shell=bash

# sign NAME SUBJECT [EXTENSION]: $K/pki/NAME.{key,pem}, signed by the cluster's CA.
sign() {
	ec_key "$K/pki/$1.key" || return
	openssl req -new -key "$K/pki/$1.key" -subj "$2" |
		openssl x509 -req -days 30 -CA "$K/pki/ca.pem" -CAkey "$K/pki/ca.key" \
			-CAserial "$K/pki/ca.srl" -CAcreateserial -out "$K/pki/$1.pem" \
			-extfile <(printf '%s\n' "${3:-extendedKeyUsage=clientAuth}") 2>/dev/null
}

new_token() {
	openssl rand -hex 16
}

# make_pki NODE: everything that is made once and kept over a restart.
make_pki() {
	[ ! -e "$K/pki/done" ] || return 0
	rm -rf "$K/pki"
	mkdir -p "$K/pki" || return
	ec_key "$K/pki/ca.key" &&
		openssl req -x509 -new -key "$K/pki/ca.key" -days 30 -subj /CN=gpudev-test-kube-ca \
			-addext basicConstraints=critical,CA:TRUE -out "$K/pki/ca.pem" || return
	local names='subjectAltName=IP:127.0.0.1,IP:10.0.0.1,DNS:localhost,DNS:kubernetes.default.svc'
	sign server /CN=kube-apiserver "$names" &&
		sign kubelet-server "/O=system:nodes/CN=system:node:$1" "$names" &&
		sign apiserver-kubelet /O=system:masters/CN=apiserver &&
		sign admin /O=system:masters/CN=admin &&
		sign kwok /O=system:masters/CN=kwok &&
		sign controller-manager /CN=system:kube-controller-manager &&
		sign scheduler /CN=system:kube-scheduler &&
		sign node "/O=system:nodes/CN=system:node:$1" || return
	openssl genrsa -out "$K/pki/service-account.key" 2048 2>/dev/null &&
		openssl rsa -in "$K/pki/service-account.key" -pubout \
			-out "$K/pki/service-account.pub" 2>/dev/null || return
	make_tokens && touch "$K/pki/done"
}

# Users of the token file: one who may do all, one who gets the least Role (see
# "kube grant"), one without any rights.
make_tokens() {
	local user
	for user in admin least none; do
		new_token >"$K/pki/token-$user" || return
	done
	cat >"$K/pki/tokens.csv" <<-CSV
	$(<"$K/pki/token-admin"),gpudev-admin,gpudev-admin,"system:masters"
	$(<"$K/pki/token-least"),gpudev-least,gpudev-least,"gpudev"
	$(<"$K/pki/token-none"),gpudev-none,gpudev-none,"gpudev"
	CSV
}

# kubeconfig FILE SERVER USER-LINES: the user's credentials as YAML, indented by 4.
kubeconfig() {
	(
		umask 077
		cat >"$1" <<-YAML
		apiVersion: v1
		kind: Config
		current-context: gpudev-test
		clusters:
		- name: gpudev-test
		  cluster:
		    server: $2
		    certificate-authority-data: $(base64 -w0 "$K/pki/ca.pem")
		contexts:
		- name: gpudev-test
		  context: {cluster: gpudev-test, user: gpudev-test}
		users:
		- name: gpudev-test
		  user:
		$3
		YAML
	)
}

# certificate_user NAME: the lines of a user with an embedded client certificate.
certificate_user() {
	echo "    client-certificate-data: $(base64 -w0 "$K/pki/$1.pem")"
	echo "    client-key-data: $(base64 -w0 "$K/pki/$1.key")"
}

token_user() {
	echo "    token: $(<"$K/pki/token-$1")"
}

exec_user() {
	cat <<-YAML
	    exec:
	      apiVersion: client.authentication.k8s.io/v1
	      command: ./exec-token
	      args: [admin]
	      env:
	      - {name: GPUDEV_TEST_EXEC_ENV, value: passed}
	      interactiveMode: Never
	      provideClusterInfo: true
	YAML
}

# make_kubeconfigs SERVER: for the parts, and one of each kind for the tests.
make_kubeconfigs() {
	local part user
	for part in controller-manager scheduler node kwok; do
		kubeconfig "$K/pki/$part.conf" "$1" "$(certificate_user $part)" || return
	done
	kubeconfig "$K/admin.conf" "$1" "$(certificate_user admin)" || return
	kubeconfig "$K/token.conf" "$1" "$(token_user admin)" || return
	for user in least none; do
		kubeconfig "$K/$user.conf" "$1" "$(token_user $user)" || return
	done
	install -m 755 "$here/kube.d/exec-token" "$K/exec-token" || return
	kubeconfig "$K/exec.conf" "$1" "$(exec_user)" || return
	# Paths in a kubeconfig are relative to the file's folder.
	kubeconfig "$K/files.conf" "$1" "$(printf '    %s\n' 'client-certificate: pki/admin.pem' \
		'client-key: pki/admin.key')" || return
	sed -i 's|certificate-authority-data: .*|certificate-authority: pki/ca.pem|' "$K/files.conf"
}
