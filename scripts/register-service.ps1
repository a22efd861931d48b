<#
.SYNOPSIS
Lets the guests of this Hyper-V host reach an hvferry service. Needs an administrator, once a host.

.DESCRIPTION
Does what "hvrecv service-guid register" does, for a host without hvrecv.exe.
Not run on Windows by its authors yet: only its grammar was checked.

.EXAMPLE
.\register-service.ps1 -Port 2761 -Name 'hvferry files'
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [ValidateRange(0, 2147483647)] [int] $Port = 2761,
    [string] $Guid,
    [Parameter(Mandatory)] [ValidateNotNullOrEmpty()] [string] $Name,
    [switch] $Force
)
$ErrorActionPreference = 'Stop'
$services = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Virtualization\GuestCommunicationServices'

# The template of Linux guests: the port in hexadecimal, and what is the same for all.
$id = if ($Guid) { ([guid] $Guid).Guid } else { '{0:x8}-facb-11e6-bd58-64006a7986d3' -f $Port }
if (-not (Test-Path -LiteralPath $services)) {
    throw 'This Windows is no Hyper-V host: turn the Hyper-V feature on, and start again.'
}
$key = "$services\$id"
if (Test-Path -LiteralPath $key) {
    $maker = (Get-ItemProperty -LiteralPath $key).RegisteredBy
    if ($maker -ne 'hvferry' -and -not $Force) {
        throw "${id}: another program registered it; -Force changes it all the same."
    }
}
if ($PSCmdlet.ShouldProcess($id, 'register')) {
    if (-not (Test-Path -LiteralPath $key)) {
        $null = New-Item -Path $services -Name $id
    }
    Set-ItemProperty -LiteralPath $key -Name 'ElementName' -Value $Name
    Set-ItemProperty -LiteralPath $key -Name 'RegisteredBy' -Value 'hvferry'
    $id
}
