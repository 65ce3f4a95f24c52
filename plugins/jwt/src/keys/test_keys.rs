//! Keys for tests, made with openssl 3.0 and used nowhere else. All forms of a name are of the same key.

/// `openssl genrsa 2048`
pub(super) const RSA_PKCS8: &str = "\
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCzRJFX3cjyDmtt
/uwyaVVip0Hk0L5YKDKDkHRJCxQz4abWV06UC2jOPIcu4Iq81m7/11HuGIpnojkc
BPIuJNP3V3JVIVdjANgjUSWB9G1DIpeADpuFuf0eewTMNntDD64/cM/OJyYm/KcU
5VpX+Q+vOg+SkUGRZXpbhtqYlv8S4muTB5oWLc833fwmzK/H2dn5L1c6KwDQso0B
CVU1kJtr9V8LZFm9+hwWudMPjelnWYaULCqCPV8TyUlFp3SEFr96lAYIMkvsV341
iEScwdmDcVl3rG2qWBfqCUWz5wLT2R7UUYmIKCOGscpgqHi/AhZTw13dRXpBywwr
OHTGvU6TAgMBAAECggEACLkwWIfNPJTWmz2pj2tT4Xf6lDlvvxrpNQf48mz8s1p/
6sI6pG9lQKlDllSa5JpvI+Rvj4nX9BuBANLvdSC2GaC0Zuwa3vTnVr0QztngiCR3
5RAJzHzC58s/0aELS2BXTFhYVijq3weyKNQmjKK0CVott18H7gBztkHQIAGleF7P
2BLpiYO6Jy7VA+7elkNeKX3nmvItPs/GORiJPdFh+bHWyyYRJ6vAnVySstb7Cn5l
3Lf4DPDFmwxWqbF6DeuEGn/f+MWLLd/fFuzOvJseKQOOxaQrzA5BbtyBUI/kjjPK
ujyrinkqWaCyETOOp4Db+W92e9SDiVUYFBgIWKd58QKBgQDZtKYyEbZjsoknhUzE
oLEJsLC/yiQCkqWkTP6DEvk0+g15Av4r7Tuvr2dhctiUoeAcTq9BlertFzZDjxfV
aGVxSGdM1o10rNO9TChH4gJUuWp0Kd0vW9/MAAeHZ//3xr5D85Aij+eobRio29xR
BrizmjsX4kzQnSQ+6m+5RW6dfQKBgQDSzQ1Y0grq2aVorqx5F43sc9Yt+sZQM8PU
tTZR1IicX5UyJEPeeRoXHhtV/eZ3xuklBaPFjDtD0TakZtRkKi0e1WYEuUFXe2vO
7Bg7epOzDTYhoGpJeRmCG17vbVwZR1ZlhCsqoy1PS99L25N+b8/ykYMkcn+N+F7V
yqGGGFeZTwKBgFEYzzQljviygA79w+wXI/vFGwJGrYVb1WJP4Bs5jSWj5DLo33/D
fpFiWLNfUbiEWHSTBwv6aanqFKez/R/dJLS/UOO5pLYKz1FbtkGYul+PNk2Rbrh+
k+5tMGDLZ/mHykaLy2xkiNof0ajNRdPVGialVFAAV7b6Yo8hS38LkzoNAoGBAI9E
V2bfUhYtF7MezA98h7OFQrJ7Nl7534VoJ2PUG4iTmbW7WfkQuz+s8Y0vA3yyTnAf
9h9j4D+GKCnxzTXKSGIlTLG3KoaHVk0Kvqll9I4DU5/lA3et+z0m1w3IeIihqEFU
Y3YV8sxq13cZ45NR8LV+We/idXiKrgGFNuQJFTgXAoGAajjyG6CVg+OQ+W1U3RM5
PJA8H6WAsIBHzFqm8jRrmZywCLy8NQ9sYv3AJJnRxpHDY89Tm26AMt7+CnwniiOP
lX0iBP6+a003s6XDbxKh5lkRSWVa4v7mq0maVKmwlxCpR8QytaRm7kkyzUpFyOXc
EnZib0z+ky3f10jjI5qiIpk=
-----END PRIVATE KEY-----
";
/// `openssl rsa -traditional`
pub(super) const RSA_PKCS1: &str = "\
-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEAs0SRV93I8g5rbf7sMmlVYqdB5NC+WCgyg5B0SQsUM+Gm1ldO
lAtozjyHLuCKvNZu/9dR7hiKZ6I5HATyLiTT91dyVSFXYwDYI1ElgfRtQyKXgA6b
hbn9HnsEzDZ7Qw+uP3DPzicmJvynFOVaV/kPrzoPkpFBkWV6W4bamJb/EuJrkwea
Fi3PN938Jsyvx9nZ+S9XOisA0LKNAQlVNZCba/VfC2RZvfocFrnTD43pZ1mGlCwq
gj1fE8lJRad0hBa/epQGCDJL7Fd+NYhEnMHZg3FZd6xtqlgX6glFs+cC09ke1FGJ
iCgjhrHKYKh4vwIWU8Nd3UV6QcsMKzh0xr1OkwIDAQABAoIBAAi5MFiHzTyU1ps9
qY9rU+F3+pQ5b78a6TUH+PJs/LNaf+rCOqRvZUCpQ5ZUmuSabyPkb4+J1/QbgQDS
73UgthmgtGbsGt7051a9EM7Z4Igkd+UQCcx8wufLP9GhC0tgV0xYWFYo6t8HsijU
JoyitAlaLbdfB+4Ac7ZB0CABpXhez9gS6YmDuicu1QPu3pZDXil955ryLT7PxjkY
iT3RYfmx1ssmESerwJ1ckrLW+wp+Zdy3+AzwxZsMVqmxeg3rhBp/3/jFiy3f3xbs
zrybHikDjsWkK8wOQW7cgVCP5I4zyro8q4p5KlmgshEzjqeA2/lvdnvUg4lVGBQY
CFinefECgYEA2bSmMhG2Y7KJJ4VMxKCxCbCwv8okApKlpEz+gxL5NPoNeQL+K+07
r69nYXLYlKHgHE6vQZXq7Rc2Q48X1WhlcUhnTNaNdKzTvUwoR+ICVLlqdCndL1vf
zAAHh2f/98a+Q/OQIo/nqG0YqNvcUQa4s5o7F+JM0J0kPupvuUVunX0CgYEA0s0N
WNIK6tmlaK6seReN7HPWLfrGUDPD1LU2UdSInF+VMiRD3nkaFx4bVf3md8bpJQWj
xYw7Q9E2pGbUZCotHtVmBLlBV3trzuwYO3qTsw02IaBqSXkZghte721cGUdWZYQr
KqMtT0vfS9uTfm/P8pGDJHJ/jfhe1cqhhhhXmU8CgYBRGM80JY74soAO/cPsFyP7
xRsCRq2FW9ViT+AbOY0lo+Qy6N9/w36RYlizX1G4hFh0kwcL+mmp6hSns/0f3SS0
v1DjuaS2Cs9RW7ZBmLpfjzZNkW64fpPubTBgy2f5h8pGi8tsZIjaH9GozUXT1Rom
pVRQAFe2+mKPIUt/C5M6DQKBgQCPRFdm31IWLRezHswPfIezhUKyezZe+d+FaCdj
1BuIk5m1u1n5ELs/rPGNLwN8sk5wH/YfY+A/higp8c01ykhiJUyxtyqGh1ZNCr6p
ZfSOA1Of5QN3rfs9JtcNyHiIoahBVGN2FfLMatd3GeOTUfC1flnv4nV4iq4BhTbk
CRU4FwKBgGo48huglYPjkPltVN0TOTyQPB+lgLCAR8xapvI0a5mcsAi8vDUPbGL9
wCSZ0caRw2PPU5tugDLe/gp8J4ojj5V9IgT+vmtNN7Olw28SoeZZEUllWuL+5qtJ
mlSpsJcQqUfEMrWkZu5JMs1KRcjl3BJ2Ym9M/pMt39dI4yOaoiKZ
-----END RSA PRIVATE KEY-----
";
/// `openssl rsa -pubout`
pub(super) const RSA_SPKI: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAs0SRV93I8g5rbf7sMmlV
YqdB5NC+WCgyg5B0SQsUM+Gm1ldOlAtozjyHLuCKvNZu/9dR7hiKZ6I5HATyLiTT
91dyVSFXYwDYI1ElgfRtQyKXgA6bhbn9HnsEzDZ7Qw+uP3DPzicmJvynFOVaV/kP
rzoPkpFBkWV6W4bamJb/EuJrkweaFi3PN938Jsyvx9nZ+S9XOisA0LKNAQlVNZCb
a/VfC2RZvfocFrnTD43pZ1mGlCwqgj1fE8lJRad0hBa/epQGCDJL7Fd+NYhEnMHZ
g3FZd6xtqlgX6glFs+cC09ke1FGJiCgjhrHKYKh4vwIWU8Nd3UV6QcsMKzh0xr1O
kwIDAQAB
-----END PUBLIC KEY-----
";
/// `openssl rsa -RSAPublicKey_out`
pub(super) const RSA_PKCS1_PUBLIC: &str = "\
-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAs0SRV93I8g5rbf7sMmlVYqdB5NC+WCgyg5B0SQsUM+Gm1ldOlAto
zjyHLuCKvNZu/9dR7hiKZ6I5HATyLiTT91dyVSFXYwDYI1ElgfRtQyKXgA6bhbn9
HnsEzDZ7Qw+uP3DPzicmJvynFOVaV/kPrzoPkpFBkWV6W4bamJb/EuJrkweaFi3P
N938Jsyvx9nZ+S9XOisA0LKNAQlVNZCba/VfC2RZvfocFrnTD43pZ1mGlCwqgj1f
E8lJRad0hBa/epQGCDJL7Fd+NYhEnMHZg3FZd6xtqlgX6glFs+cC09ke1FGJiCgj
hrHKYKh4vwIWU8Nd3UV6QcsMKzh0xr1OkwIDAQAB
-----END RSA PUBLIC KEY-----
";
/// `openssl genrsa 1024`
pub(super) const RSA_1024_SPKI: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDmKxmf/ikiC4ltHNzBRRcWvClI
kep6eQKecdRBBrPwf5Dm+vcrqiotoFPlQ4ksL6HEaUDSTFxI2GIkT2TYVVnq4VAZ
S1wh4uJmjnxMsMwjrY+ZQKW8t8kgWybGKlnYphDKe2NhcITMOXgABfw3CYgSXQp4
JrJpxK3soubHtCuIJwIDAQAB
-----END PUBLIC KEY-----
";
/// `openssl ecparam -genkey` on P-256, with its parameters
pub(super) const P256_SEC1: &str = "\
-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIB3l3N7zQSzXKF8OhVSKk6ahCXQQj/luN0AFEE+j++cWoAoGCCqGSM49
AwEHoUQDQgAESALOQ61uUXpRvqTi69Flx5F4zSwbu47YFmU2bJZtZHnLr8a//NV8
2D34a8alC/B1jttnRBSG2jP5qdtiFC9uUA==
-----END EC PRIVATE KEY-----
";
/// `openssl pkcs8 -topk8 -nocrypt`
pub(super) const P256_PKCS8: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHeXc3vNBLNcoXw6F
VIqTpqEJdBCP+W43QAUQT6P75xahRANCAARIAs5DrW5RelG+pOLr0WXHkXjNLBu7
jtgWZTZslm1kecuvxr/81XzYPfhrxqUL8HWO22dEFIbaM/mp22IUL25Q
-----END PRIVATE KEY-----
";
/// `openssl ec -pubout`
pub(super) const P256_SPKI: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAESALOQ61uUXpRvqTi69Flx5F4zSwb
u47YFmU2bJZtZHnLr8a//NV82D34a8alC/B1jttnRBSG2jP5qdtiFC9uUA==
-----END PUBLIC KEY-----
";
/// `openssl ecparam -genkey` on P-384, with its parameters
pub(super) const P384_SEC1: &str = "\
-----BEGIN EC PARAMETERS-----
BgUrgQQAIg==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MIGkAgEBBDAl6tXr8z0lx8PJRXNzbI6FDvaeVKmB0KkvKWqvE8vcWg0iE1+WrDZP
3LC+JZC2bO6gBwYFK4EEACKhZANiAASafcTNkWRGFDFjd2UfxeoiZKlblD+pRjYt
4jOmUmCZUGubJrKApeN8boaCO9nJPlt9thJhQlCsS3vIZHFIayr8wf0/NDVRGd4d
HBoCfsu7PYZSaYt2tWzI7U9/R1D2vT0=
-----END EC PRIVATE KEY-----
";
/// `openssl pkcs8 -topk8 -nocrypt`
pub(super) const P384_PKCS8: &str = "\
-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAl6tXr8z0lx8PJRXNz
bI6FDvaeVKmB0KkvKWqvE8vcWg0iE1+WrDZP3LC+JZC2bO6hZANiAASafcTNkWRG
FDFjd2UfxeoiZKlblD+pRjYt4jOmUmCZUGubJrKApeN8boaCO9nJPlt9thJhQlCs
S3vIZHFIayr8wf0/NDVRGd4dHBoCfsu7PYZSaYt2tWzI7U9/R1D2vT0=
-----END PRIVATE KEY-----
";
/// `openssl ec -pubout`
pub(super) const P384_SPKI: &str = "\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEmn3EzZFkRhQxY3dlH8XqImSpW5Q/qUY2
LeIzplJgmVBrmyaygKXjfG6GgjvZyT5bfbYSYUJQrEt7yGRxSGsq/MH9PzQ1URne
HRwaAn7Luz2GUmmLdrVsyO1Pf0dQ9r09
-----END PUBLIC KEY-----
";
/// `openssl ecparam -genkey` on P-521, with its parameters
pub(super) const P521_SEC1: &str = "\
-----BEGIN EC PARAMETERS-----
BgUrgQQAIw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MIHcAgEBBEIBNo7A8wKKPSqLrD8XYfKSDy64qWmln/4kN/E19XpfDbrzR9D3adTP
GPLxtDXwpZycfUaibVp+ETc4VKmTzBPpwGqgBwYFK4EEACOhgYkDgYYABABFJCjz
plAsvyVKEfr7Wq32dw7C3rAefRk7ntKYqGqiPctpOhYjavQzuRY+HgW7iBfuh92o
8AG3W34ik7hNado4pgDL8rrTWxU+MLVdl414WpCYjn9ky3U9qv30AZASSegKx2pX
H7xr6bVxGx5hNQY/0VCmoKhRqZgjaBd5i11L30zvvA==
-----END EC PRIVATE KEY-----
";
/// `openssl pkcs8 -topk8 -nocrypt`
pub(super) const P521_PKCS8: &str = "\
-----BEGIN PRIVATE KEY-----
MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBNo7A8wKKPSqLrD8X
YfKSDy64qWmln/4kN/E19XpfDbrzR9D3adTPGPLxtDXwpZycfUaibVp+ETc4VKmT
zBPpwGqhgYkDgYYABABFJCjzplAsvyVKEfr7Wq32dw7C3rAefRk7ntKYqGqiPctp
OhYjavQzuRY+HgW7iBfuh92o8AG3W34ik7hNado4pgDL8rrTWxU+MLVdl414WpCY
jn9ky3U9qv30AZASSegKx2pXH7xr6bVxGx5hNQY/0VCmoKhRqZgjaBd5i11L30zv
vA==
-----END PRIVATE KEY-----
";
/// `openssl ec -pubout`
pub(super) const P521_SPKI: &str = "\
-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQARSQo86ZQLL8lShH6+1qt9ncOwt6w
Hn0ZO57SmKhqoj3LaToWI2r0M7kWPh4Fu4gX7ofdqPABt1t+IpO4TWnaOKYAy/K6
01sVPjC1XZeNeFqQmI5/ZMt1Par99AGQEknoCsdqVx+8a+m1cRseYTUGP9FQpqCo
UamYI2gXeYtdS99M77w=
-----END PUBLIC KEY-----
";
/// `openssl ec -pubout -conv_form compressed`
pub(super) const P384_SPKI_COMPRESSED: &str = "\
-----BEGIN PUBLIC KEY-----
MEYwEAYHKoZIzj0CAQYFK4EEACIDMgADmn3EzZFkRhQxY3dlH8XqImSpW5Q/qUY2
LeIzplJgmVBrmyaygKXjfG6GgjvZyT5b
-----END PUBLIC KEY-----
";
/// `openssl ecparam -genkey -param_enc explicit`; another key
pub(super) const P384_SEC1_EXPLICIT: &str = "\
-----BEGIN EC PRIVATE KEY-----
MIIB+gIBAQQwHzCMyzVlHj5rYQAfm8hiau9XBmWJoY5kDnba967CJYhn2406Kp2F
VhRyd3ArtkzpoIIBWzCCAVcCAQEwPAYHKoZIzj0BAQIxAP//////////////////
///////////////////////+/////wAAAAAAAAAA/////zB7BDD/////////////
/////////////////////////////v////8AAAAAAAAAAP////wEMLMxL6fiPufk
mI4Fa+P4LRkYHZxu/oFBEgMUCI9QE4daxlY5jYou0Z0qhcjt0+wq7wMVAKM1kmqj
GaJ6HQCJamdzpIJ6zaxzBGEEqofKIr6LBTeOscce8yCtdG4dO2KLp5uYWfdB4IJU
KjhVAvJdv1UpbDpUXjhydgq3NhfeSpYmLG9dnpi/kpLcKfj0Hb0omhR86doxE7Xw
uMAKYLHOHX6BnXpDHXyQ6g5fAjEA////////////////////////////////x2NN
gfQ3Ld9YGg2ySLCneuzsGWrMxSlzAgEBoWQDYgAEppDiwhX48ZhpQbQv31ddUZUg
vcJMGcspq5DYyRljMYVyJfQbZjEapg8vQov6orsFAjAaxpRvpNrtuA7rMPZNybz8
uIME+VwrJfWOMUonCRYpOfzByjMt+vBJ3woVPfeB
-----END EC PRIVATE KEY-----
";
/// A curve that JWA (RFC 7518) does not have.
pub(super) const SECP256K1_SPKI: &str = "\
-----BEGIN PUBLIC KEY-----
MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEayZvzKBmHGJq/hTtXwOOCyoVDAEyh8yQ
RtW78Ql7Eqcbk66nsgFJOpXf7eqYUnL8QcCImYRQPShjDfZzohDH7Q==
-----END PUBLIC KEY-----
";
/// `openssl genpkey -algorithm ED25519`
pub(super) const ED25519_PKCS8: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIB8NTp7jO98x9KWRI51bKGQbabqfFdiEkYY19CiSJ3G9
-----END PRIVATE KEY-----
";
/// `openssl pkey -pubout`
pub(super) const ED25519_SPKI: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAVUjSR/Tinqb7vzF4dhP2FLwyQ2EVsrkmLeCCiaS6DSg=
-----END PUBLIC KEY-----
";
/// `openssl genpkey -algorithm X25519`
pub(super) const X25519_SPKI: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VuAyEA0BJnpi2HohmHqZ/gGMw+OjxmEUTAVEg/zAQlkMhaync=
-----END PUBLIC KEY-----
";
/// `openssl genpkey -algorithm ED448`
pub(super) const ED448_SPKI: &str = "\
-----BEGIN PUBLIC KEY-----
MEMwBQYDK2VxAzoAubg+8YkVKmUmpQeREwnQPBwX5FBo6mUEKr5uTGZnnATZfLxC
tmZgmdE5kj46W8UX5sQ7baSjUWSA
-----END PUBLIC KEY-----
";
/// `openssl genpkey -algorithm RSA-PSS`
pub(super) const RSA_PSS_SPKI: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIDALBgkqhkiG9w0BAQoDggEPADCCAQoCggEBAL19kRR/SjwUZSWZ0ip7aTTY
zAUr4glNXE7nd0QCXsoGvbclTRCpx8DIHHOwokb5xIatnRaDlRlCshSQFB8SR0ak
rOdapwRA3owJN98u38BiI9vhCGjgWM/9a5AVXd+cBSLYQ4Bv+388amJyztiGYpSz
y2sR5aG2YT4m3R3eHXsnBEER4hvHQtOX6hsK+PiYK+54i5NFg4l9VoBxgvQvKgzA
VIlfresK4tBdBon+y/TYAMx3fo6uDr8ufmmQl3exlXjX2nE7kbQZcSOFeOvEb7iR
1J9Y+9JR6DKDfIm5qHUvOQg48V/rg54D5iXA/w6q5EHd9xCIkBl2D9wqYtQuI8sC
AwEAAQ==
-----END PUBLIC KEY-----
";
/// `openssl pkcs8 -topk8`
pub(super) const ENCRYPTED_PKCS8: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjpVgY5RHDLzwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAGaQNl/ZJHaZrwLcAKuH6IEgZCQ
oNKbnSV2VkWp9TRjd5Veg+KHN3Kp5MxAGC8vE4zsu++Gd1hzzq6pw61hF/gACwnS
dhzZ840suhjh30pMWs/b0sURCps+MYfYXty7yEHOmh/54MHbPeB0M3828IExdMBy
LH7qC9fk9GHo3IE7gL+J4YipYCFADWDR783dd+uwgXAWVrc82O77zsCzcvbTjVI=
-----END ENCRYPTED PRIVATE KEY-----
";
/// `openssl ec -aes128`
pub(super) const ENCRYPTED_SEC1: &str = "\
-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,00FE81BBF5506C9E00C37BA56797466F

G/EQcom4PlLzWhnHW5heF+aztc9h2jSom54rS4zXnHiZxi/JCaXYIvJvorF3LVqQ
CMUJ3oIh96Qt1gQLii+3pggAlMrRE+BBUQqWTxr+ebyam9Tc6kMoWL5xFJgdlXWL
XLRK1BH3O99qVC0Nm9YZObck0K9yqbJzys4j6c9Mjlo=
-----END EC PRIVATE KEY-----
";
/// `openssl req -x509`
pub(super) const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdDCCARmgAwIBAgIUNAXv0I6yqbZF/+zFSgP809JPG+IwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAeFw0yNjExMjExMjU2MDdaFw0yNjExMjIxMjU2MDda
MA8xDTALBgNVBAMMBHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARIAs5D
rW5RelG+pOLr0WXHkXjNLBu7jtgWZTZslm1kecuvxr/81XzYPfhrxqUL8HWO22dE
FIbaM/mp22IUL25Qo1MwUTAdBgNVHQ4EFgQUMN9XJ3rEyye/5Pnr6WPEgdIi22Ew
HwYDVR0jBBgwFoAUMN9XJ3rEyye/5Pnr6WPEgdIi22EwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNJADBGAiEA6x0fkkfU2Ul7tyukb0JGxb4C54Jd54Zr7o//
l8WrpWgCIQDBQDubeyQyXElMgrfHS6HKKVxFg0B3HVUL2AuOSSFh+Q==
-----END CERTIFICATE-----
";
/// `ssh-keygen -t ed25519`
pub(super) const OPENSSH: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACC7KkXcNEXpo2cN3b+ljIMhrTw1tNB5sQbgYzXOhP6KxQAAAIgrw3sKK8N7
CgAAAAtzc2gtZWQyNTUxOQAAACC7KkXcNEXpo2cN3b+ljIMhrTw1tNB5sQbgYzXOhP6KxQ
AAAEAVMn3Sypvl9YTIcp0/ZVvonzMgqJLcfmZ1EVVljxTtHrsqRdw0RemjZw3dv6WMgyGt
PDW00HmxBuBjNc6E/orFAAAABHRlc3QB
-----END OPENSSH PRIVATE KEY-----
";
/// The public key of it.
pub(super) const OPENSSH_PUBLIC: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILsqRdw0RemjZw3dv6WMgyGtPDW00HmxBuBjNc6E/orF test";
