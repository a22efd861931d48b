<#
.SYNOPSIS
Takes back what register-service.ps1 or "hvrecv service-guid register" did. Needs an administrator.

.DESCRIPTION
Not run on Windows by its authors yet: only its grammar was checked.

.EXAMPLE
.\unregister-service.ps1 -Port 2761
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [ValidateRange(0, 2147483647)] [int] $Port = 2761,
    [string] $Guid,
    [switch] $Force
)
$ErrorActionPreference = 'Stop'
$services = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Virtualization\GuestCommunicationServices'

$id = if ($Guid) { ([guid] $Guid).Guid } else { '{0:x8}-facb-11e6-bd58-64006a7986d3' -f $Port }
$key = "$services\$id"
if (-not (Test-Path -LiteralPath $key)) {
    throw "${id}: not registered."
}
$maker = (Get-ItemProperty -LiteralPath $key).RegisteredBy
if ($maker -ne 'hvferry' -and -not $Force) {
    throw "${id}: another program registered it; -Force removes it all the same."
}
if ($PSCmdlet.ShouldProcess($id, 'unregister')) {
    Remove-Item -LiteralPath $key
}
