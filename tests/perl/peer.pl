# Perl as a peer, with nothing but the calls that are part of the language. One command a line from stdin, one line of answer:
#
#   create KEY BYTES MODE          the id of a new segment; mode in octal
#   get KEY BYTES FLAGS            the id of an existing one
#   write ID OFFSET BYTES HEX      shmwrite of BYTES bytes from a string, which may be shorter or longer
#   read ID OFFSET BYTES           shmread, in hexadecimal
#   stat ID                        the struct shmid_ds, in hexadecimal
#   set ID HEX                     IPC_SET with such a struct
#   remove ID                      IPC_RMID
#
# A failure is answered by "errno NUMBER". The numbers are those of <sys/ipc.h>; core Perl has no names for them.
use strict;
use warnings;

$| = 1;
# As numbers: `|` on strings works on their characters.
my ($CREAT, $EXCL, $RMID, $SET, $STAT) = map { $_ + 0 } @ARGV;

sub failed { return "errno " . ($! + 0) }

my %commands = (
    create => sub {
        my ($key, $bytes, $mode) = @_;
        my $id = shmget($key, $bytes, $CREAT | $EXCL | oct $mode);
        return defined $id ? $id : failed();
    },
    get => sub {
        my ($key, $bytes, $flags) = @_;
        my $id = shmget($key, $bytes, oct $flags);
        return defined $id ? $id : failed();
    },
    write => sub {
        my ($id, $offset, $bytes, $hex) = @_;
        return shmwrite($id, pack("H*", $hex // ""), $offset, $bytes) ? "done" : failed();
    },
    read => sub {
        my ($id, $offset, $bytes) = @_;
        my $buffer = "";
        return shmread($id, $buffer, $offset, $bytes) ? unpack("H*", $buffer) : failed();
    },
    stat => sub {
        my ($id) = @_;
        my $ds = "";
        return defined shmctl($id, $STAT, $ds) ? unpack("H*", $ds) : failed();
    },
    set => sub {
        my ($id, $hex) = @_;
        my $ds = pack("H*", $hex);
        return defined shmctl($id, $SET, $ds) ? "done" : failed();
    },
    remove => sub {
        my ($id) = @_;
        return defined shmctl($id, $RMID, 0) ? "removed" : failed();
    },
);

while (my $line = <STDIN>) {
    my ($command, @arguments) = split ' ', $line;
    print $commands{$command}->(@arguments), "\n";
}
