# Does for the shell what would cost it a new program or a new connection in the middle of a flip.
# A request is a line of fields with tabs between them:
#   open SOCKET             connects; the next `ask` of that socket uses this connection
#   ask SOCKET COMMANDS     prints HAProxy's answer
#   hold FOLDER             takes the folder's lock, until the relay ends
#   replace NEW MAP OLD     renames NEW to MAP, durably, if MAP still has OLD's content
# The last line of each answer is "@@ ok", "@@ unsent WORDS" (nothing happened) or "@@ lost WORDS" (it may have
# happened, or may yet). Ends with its standard input.
use strict;
use Fcntl 'LOCK_EX';
use IO::Handle;
use Socket;
$| = 1;
$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = sub { die "no answer in time\n" };
my ($sent, %open, $held);

sub connection {
  my $socket;
  socket($socket, PF_UNIX, SOCK_STREAM, 0) && connect($socket, pack_sockaddr_un($_[0])) or die "$!\n";
  return $socket;
}
sub content {
  open(my $file, '<', $_[0]) or die "$_[0]: $!\n";
  local $/;
  return <$file> // '';
}
my %do = (
  open => sub { $open{$_[0]} = connection($_[0]); '' },
  ask => sub {
    my $socket = delete $open{$_[0]} || connection($_[0]);
    syswrite($socket, "$_[1]\n") or die "$!\n";
    $sent = 1;
    shutdown $socket, 1;
    my $text = '';
    while (1) {
      my $more = sysread $socket, $text, 65536, length $text;
      die "$!\n" unless defined $more;
      last unless $more;
    }
    die "closed without an answer\n" if $text eq '';
    return $text =~ /\n\z/ ? $text : "$text\n";
  },
  hold => sub { open($held, '<', $_[0]) && flock($held, LOCK_EX) or die "$!\n"; '' },
  replace => sub {
    my ($new, $map, $old) = @_;
    die "changed\n" if content($map) ne content($old);
    # Before: a time-out that comes while it is done is told after it.
    $sent = 1;
    rename($new, $map) or die "$!\n";
    $held->sync or die "$!\n";
    '';
  },
);
while (my $request = <STDIN>) {
  chomp $request;
  my ($verb, $seconds, @rest) = split /\t/, $request;
  $sent = 0;
  my $text = eval { alarm $seconds; my $said = $do{$verb}->(@rest); alarm 0; $said };
  my $why = $@;
  alarm 0;
  chomp $why;
  print defined $text ? "$text\@\@ ok\n" : $sent ? "\@\@ lost $why\n" : "\@\@ unsent $why\n";
}
