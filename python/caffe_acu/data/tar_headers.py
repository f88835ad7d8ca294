"""What headers of a tar archive may say, so that a few bytes cannot ask for all memory, or for what is before them."""

import tarfile

# Far more than any file of the official data sets has; bytes.
MOST_BYTES = 1 << 30
_MOST_BYTES_OF_A_NAME = 1 << 20
# Members that tell the name and other properties of the next one. tarfile reads them whole, unasked.
_PROPERTIES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class CheckedTarInfo(tarfile.TarInfo):
    """To be given to ``tarfile.open`` as ``tarinfo``: raises tarfile.ReadError for such headers."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> "CheckedTarInfo":
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0:
            raise tarfile.ReadError(f"a file of {header.size} bytes")
        if header.type in _PROPERTIES and header.size > _MOST_BYTES_OF_A_NAME:
            raise tarfile.ReadError(f"a name of {header.size} bytes")
        return header


def read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The content of a regular file; raises tarfile.ReadError if that is more than MOST_BYTES."""
    if member.size > MOST_BYTES:
        raise tarfile.ReadError(f"{member.name} has {member.size} bytes")
    contents = tar.extractfile(member)
    if contents is None:
        raise tarfile.ReadError(f"{member.name} is no file")
    return contents.read()
