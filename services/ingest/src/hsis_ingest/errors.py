"""What can be wrong with uploaded files, and how each is told."""

from hsis.errors import Conflict, DomainError, ProblemTable, ProblemType, TooLarge


class InputFault(DomainError):
    """The uploaded files cannot become a cube, however often it is tried."""


class UnknownFormat(InputFault):
    """No reader knows these bytes."""


class MissingHeader(InputFault):
    """A raw file came without the header that says how to read it."""


class MissingData(InputFault):
    """A header came without the data that it describes."""


class HeaderMismatch(InputFault):
    """A header contradicts itself or the data beside it."""


class MissingReference(InputFault):
    """A scene is to be calibrated, and a reference for it is missing or not clear."""


class ReferenceMismatch(InputFault):
    """A reference was not measured as the scene was."""


class LabelMismatch(InputFault):
    """A class raster cannot label the cube."""


class TruncatedFile(InputFault):
    """A file ends before its own metadata says, or is damaged."""


class UnsupportedFormat(InputFault):
    """The format is known, but not this version, type or content of it."""


class VariableNeeded(InputFault):
    """The file holds several arrays, or one whose shape is not clear: the uploader must say."""


class DecompressionBomb(InputFault):
    """The file would take far more memory than its size or a setting allows."""


class ExternalReference(InputFault):
    """What is wanted lies in another file, to which this one only points."""


class UnsafeArchive(InputFault):
    """An archive with what no honest one has: names that lead out of it, links, overlaps."""


class EncryptedArchive(InputFault):
    """An archive whose members need a password."""


class NestedArchive(InputFault):
    """An archive in an archive."""


class ArchiveTooLarge(InputFault):
    """An archive with more members, or more bytes in them, than a setting allows."""


class CubeTooLarge(InputFault):
    """More bands, rows or columns than a cube that is read has."""


class NoValidData(InputFault):
    """Not one pixel of any band is valid."""


class DuplicateOriginal(DomainError):
    """The same files are an item already, and the uploader wants no second one."""


class SourceNotAllowed(DomainError):
    """A URL that may not be fetched: its scheme, its credentials or the address of its host."""


class SourceRefused(DomainError):
    """What is to be fetched is not there, or is not what it was."""


class SourceUnavailable(DomainError):
    """What is to be fetched cannot be reached now."""


class SourceChanged(SourceUnavailable):
    """What is to be fetched is not what came of it before: it is fetched from its beginning."""


class QuotaExceeded(TooLarge):
    """More bytes than the collection may hold."""


class NotRestorable(Conflict):
    """What is in the trash has no original files that could be converted again."""


class MetadataMismatch(InputFault):
    """What an uploader or a template says of the cube does not fit it."""


class NeedsConversion(DomainError):
    """A change of metadata that the stored values' statistics and overviews depend on."""


class UploadInterrupted(DomainError):
    """The client went away in the middle of a file."""


class TransferLocked(DomainError):
    """Another request is just sending to the transfer."""


class WrongVersion(DomainError):
    """The client speaks another version of tus."""


class WrongContentType(DomainError):
    """The bytes of a transfer have a type of their own."""


class ChecksumMismatch(DomainError):
    """The bytes are not those that the client took the checksum of."""


class LeaseLost(Exception):
    """Another worker has the job now: stop, and write nothing more."""


PROBLEMS: ProblemTable = {
    InputFault: ProblemType(422, "unreadable-input", "The files cannot become a cube"),
    UnknownFormat: ProblemType(422, "unknown-format", "Unknown format"),
    MissingHeader: ProblemType(422, "missing-header", "The header file is missing"),
    MissingData: ProblemType(422, "missing-data", "The data file is missing"),
    HeaderMismatch: ProblemType(422, "header-mismatch", "The header does not fit the data"),
    MissingReference: ProblemType(422, "missing-reference", "A reference is missing"),
    ReferenceMismatch: ProblemType(422, "reference-mismatch", "A reference does not fit the scene"),
    LabelMismatch: ProblemType(422, "label-mismatch", "No class map of this cube"),
    TruncatedFile: ProblemType(422, "truncated-file", "The file is truncated or damaged"),
    UnsupportedFormat: ProblemType(422, "unsupported-format", "Not supported"),
    VariableNeeded: ProblemType(422, "variable-needed", "It is not clear which array to store"),
    DecompressionBomb: ProblemType(422, "decompression-bomb", "Too large once decompressed"),
    ExternalReference: ProblemType(
        422, "external-reference", "The file points to another file, which is not read"
    ),
    UnsafeArchive: ProblemType(422, "unsafe-archive", "The archive is not safe to unpack"),
    EncryptedArchive: ProblemType(422, "encrypted-archive", "The archive is encrypted"),
    NestedArchive: ProblemType(422, "nested-archive", "An archive in an archive"),
    ArchiveTooLarge: ProblemType(422, "archive-too-large", "Too much in the archive"),
    CubeTooLarge: ProblemType(422, "cube-too-large", "A cube of too many bands, rows or columns"),
    NoValidData: ProblemType(422, "no-valid-data", "No valid pixel"),
    DuplicateOriginal: ProblemType(409, "duplicate-original", "The same files are stored"),
    SourceNotAllowed: ProblemType(422, "source-not-allowed", "Not to be fetched from there"),
    SourceRefused: ProblemType(422, "source-refused", "There is no such file to fetch"),
    SourceUnavailable: ProblemType(422, "source-unavailable", "The file cannot be fetched"),
    SourceChanged: ProblemType(422, "source-changed", "The file changed while it was fetched"),
    QuotaExceeded: ProblemType(413, "quota-exceeded", "The collection has no room"),
    NotRestorable: ProblemType(409, "not-restorable", "No original files are kept"),
    MetadataMismatch: ProblemType(422, "metadata-mismatch", "The metadata do not fit the cube"),
    NeedsConversion: ProblemType(409, "needs-conversion", "Only another conversion changes this"),
    UploadInterrupted: ProblemType(400, "upload-interrupted", "The upload broke off"),
    TransferLocked: ProblemType(423, "transfer-locked", "Another request is sending"),
    WrongVersion: ProblemType(412, "wrong-tus-version", "This version of tus is not spoken"),
    WrongContentType: ProblemType(415, "wrong-content-type", "Not the type of a transfer's bytes"),
    ChecksumMismatch: ProblemType(460, "checksum-mismatch", "The checksum does not fit"),
}
