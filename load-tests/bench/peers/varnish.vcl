# Varnish in front of one origin. Its built-in VCL does the rest; the parameters are on its command line:
# {{command}}
# It speaks no TLS itself, and HTTP/2 only where something before it does the TLS.
vcl 4.1;

backend origin {
  .host = "127.0.0.1";
  .port = "{{origin}}";
}

sub vcl_recv {
  # As its manual advises for what is the same for everybody: a cookie would otherwise bypass the cache.
  unset req.http.Cookie;
}
