# Asks for one page over HTTP/1.0: SECONDS HOST PORT PATH HOST-HEADER. Prints the status, then the body; or why not.
use strict;
use Socket qw(:DEFAULT getaddrinfo);
my ($seconds, $host, $port, $path, $name) = @ARGV;
$SIG{ALRM} = sub { die "no answer in time\n" };
$SIG{PIPE} = 'IGNORE';
my $text = eval {
  alarm $seconds;
  my ($error, @all) = getaddrinfo($host, $port, {socktype => SOCK_STREAM});
  die "$error\n" if $error;
  my ($socket, $why) = (undef, 'no address');
  for my $one (@all) {
    my $try;
    if (socket($try, $one->{family}, SOCK_STREAM, 0) && connect($try, $one->{addr})) {
      $socket = $try;
      last;
    }
    $why = "$!";
  }
  die "cannot connect: $why\n" unless $socket;
  syswrite($socket, "GET $path HTTP/1.0\r\nHost: $name\r\nConnection: close\r\n\r\n") or die "$!\n";
  my $said = '';
  while (length $said < 1048576 and my $more = sysread $socket, $said, 65536, length $said) { }
  alarm 0;
  $said;
};
my $why = $@;
if (defined $text and $text =~ m{\AHTTP/\S+ (\d{3})}) {
  print "$1\n", (split /\r?\n\r?\n/, $text, 2)[1] // '';
} else {
  print STDERR $why || "no HTTP answer\n";
  exit 1;
}
